"""What a training or test sets up around mmengine's Runner: initial weights, schedule, ranks, and the Runner itself."""
