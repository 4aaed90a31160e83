# make         builds ./sasyncd
# make test    everything that can be tested on this machine; make unit and make system are its parts
# make check   format, lint (with the import rules), types
# make demo    two gateways on one screen        make bench   the figures
# make soak    MINUTES=10 of new keys, killed daemons and cut links, SEED= as before
# Each does its own set-up first; DENO= names a Deno to use instead of one fetched into .tools/.

TASK = .ci/deno task --quiet
MINUTES = 10
SEED =

all:
	$(TASK) compile

setup:
	.ci/setup deno denort lab

test: check unit system

check unit:
	$(TASK) $@

system: lab
	$(TASK) system

demo bench: lab
	$(TASK) $@

soak: lab
	$(TASK) $@ $(MINUTES) $(SEED)

lab:
	.ci/setup lab

clean:
	rm -rf sasyncd coverage .tools

.PHONY: all setup test check unit system demo bench soak lab clean
