"""The letter that a response to a multiple-choice question answers with."""
