"""Takes a hold as any client may, says so, and keeps it until it is killed or the hold is over."""

import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
# In the tree, and beside this folder on a booted test machine.
sys.path[:0] = [os.path.join(here, "..", "bench"), os.path.join(here, "..")]

from minibus import Bus  # noqa: E402

bus = Bus()
errors = bus.call_all([
    ("org.reeve.Node1", "/org/reeve/Node1", "org.reeve.Node1.Manager", "Hold", "ssa{sv}", (sys.argv[1], sys.argv[2], []))])
if errors:
    sys.exit("refused: %s" % errors[0])
print("held", flush=True)
# Ends when reeved has closed its end, and so has whoever kept it.
os.read(bus.descriptors[0], 1)
print("over", flush=True)
