"""Draw anime characters from tags, and caption them: all the data that nova-nano has ever seen."""
