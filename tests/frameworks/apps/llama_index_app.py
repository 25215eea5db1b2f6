"""A LlamaIndex app: a query over embedded documents, an agent with a tool, a bare completion."""

import asyncio
import os

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI

url = os.environ["OPENAI_BASE_URL"]  # which LlamaIndex does not read itself
model = OpenAI(model="gpt-4o", api_base=url, api_key="sk-any")


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


async def main() -> None:
    agent = FunctionAgent(name="guide", llm=model, tools=[weather], streaming=False)
    await agent.run("What is it like in Oslo?")
    await model.acomplete("Where shall we go?")


index = VectorStoreIndex.from_documents(
    [Document(text="Oslo is in Norway."), Document(text="Rome is in Italy.")],
    embed_model=OpenAIEmbedding(model="text-embedding-3-small", api_base=url, api_key="sk-any"),
)
index.as_query_engine(llm=model).query("Where is Oslo?")
asyncio.run(main())
print("done")
