"""The chain of models that answers one turn. Begin with `failover`; `policy` decides."""
