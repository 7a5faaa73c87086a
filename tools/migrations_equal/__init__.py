"""Do two versions of the code report the same of the same scripts?"""
