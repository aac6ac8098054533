"""Conversions between podmeta's environments and other interfaces: dm_env, Gymnasium, their specs and spaces."""
