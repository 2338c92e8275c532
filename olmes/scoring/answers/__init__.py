"""Which stretch of a response states its final answer: one reader for every task that asks for one."""
