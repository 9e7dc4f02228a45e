"""`python3 -m e2e.engines`."""

from e2e.engines.command import main

raise SystemExit(main())
