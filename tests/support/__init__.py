"""What tests share: specs, stores, planted components, and processes. No test is here."""
