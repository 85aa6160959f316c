"""From what is to what is wished, as data: observation, plan, actions, and the status that tells of them."""
