"""Other strategies, asked what the live one was asked: what they would have done is noted down."""
