"""The parts that run beside an application: Collector, Prometheus, bridge, local backend."""
