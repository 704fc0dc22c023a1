"""The images and videos that a user gives, as paths, addresses or arrays, and their decoding."""
