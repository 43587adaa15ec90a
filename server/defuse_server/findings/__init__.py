"""What an audit publishes: chunks of misclassifications, and regions with their parts."""
