"""Does verification find every planted loss in data that nobody here made, and call nothing lost that survived?"""
