"""The findings of audits: chunks of misclassifications, and regions with their parts."""
