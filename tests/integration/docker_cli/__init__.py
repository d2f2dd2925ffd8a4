"""What `docker plugin` is asked, and where brokerd answers otherwise than dockerd: test_docker_cli.py."""
