"""The moving parts between intake and platform. One direction: pipeline_manager -> journal -> scheduler -> dispatcher
-> platform -> tracker -> journal; everybody else reads what the journal wrote."""
