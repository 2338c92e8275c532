"""What is shown of a store: pages, comparisons, boards, and what keeps them."""
