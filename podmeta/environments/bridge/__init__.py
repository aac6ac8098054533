"""Between podmeta's environments and the interfaces of others: dm_env, Gymnasium, their specs and spaces."""
