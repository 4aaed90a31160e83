# make         builds ./sasyncd
# make test    everything that can be tested on this machine; make unit, make sim and make system are its parts
# make check   format, lint (with the import rules), types
# make sim     nine thousand worlds of the simulation: the first thousand are in make unit
# make demo    two gateways on one screen
# make bench   the figures; LAB_SAS=100000 for more SAs than 5,000 between Linux kernels
# make install DESTDIR= PREFIX=/usr/local: program, manual pages, examples, what systemd wants;    make uninstall
# make deb     a Debian package in dist/
# make dist    the executable and its SHA-256 sum in dist/; TARGET=aarch64-unknown-linux-gnu for the other processor
# make soak    MINUTES=10 of new keys, takeovers, killed processes and cut links, SEED= as before
# make fuzz    MINUTES=10 of damaged input for everything that takes bytes, SEED= as before
# Each does its own set-up first; DENO= names a Deno to use instead of one fetched into .tools/.

TASK = .ci/deno task --quiet
MINUTES = 10
SEED =
LAB_SAS = 5000

DESTDIR =
PREFIX = /usr/local
SBIN = $(DESTDIR)$(PREFIX)/sbin
MAN = $(DESTDIR)$(PREFIX)/share/man
EXAMPLES = $(DESTDIR)$(PREFIX)/share/doc/sasyncd/examples
SYSTEMD = $(DESTDIR)$(PREFIX)/lib/systemd/system
SYSUSERS = $(DESTDIR)$(PREFIX)/lib/sysusers.d

VERSION = $$(sed -n 's/.*"version": "\(.*\)".*/\1/p' deno.json)
TARGET = $$(uname -m)-unknown-linux-gnu
DEB = dist/deb

all:
	$(TASK) compile

setup:
	.ci/setup deno denort lab

test: check unit sim system

check unit sim:
	$(TASK) $@

system: lab
	$(TASK) system

demo: lab
	$(TASK) $@

bench: lab
	$(TASK) $@ $(LAB_SAS)

soak: lab
	$(TASK) $@ $(MINUTES) $(SEED)

fuzz:
	.ci/deno run -A tests/fuzz/run.ts $(MINUTES) $(SEED)

# What make has built before is installed, so that root need not build.
install:
	test -x sasyncd || $(MAKE) all
	install -d $(SBIN) $(MAN)/man5 $(MAN)/man7 $(MAN)/man8 $(EXAMPLES) $(SYSTEMD) $(SYSUSERS)
	install -m 755 sasyncd $(SBIN)/sasyncd
	for page in man/*.[578]; do install -m 644 $$page $(MAN)/man$${page##*.}/ || exit 1; done
	for file in conf/*; do [ -d $$file ] || install -m 644 $$file $(EXAMPLES)/ || exit 1; done
	sed 's|/usr/local/sbin|$(PREFIX)/sbin|' conf/sasyncd.service >$(SYSTEMD)/sasyncd.service
	chmod 644 $(SYSTEMD)/sasyncd.service
	install -m 644 conf/sasyncd.sysusers $(SYSUSERS)/sasyncd.conf

uninstall:
	rm -f $(SBIN)/sasyncd $(SYSTEMD)/sasyncd.service $(SYSUSERS)/sasyncd.conf
	for page in man/*.[578]; do rm -f $(MAN)/man$${page##*.}/$${page##*/}; done
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/sasyncd

deb:
	rm -rf $(DEB)
	$(MAKE) install DESTDIR=$(DEB) PREFIX=/usr
	gzip -9n $(DEB)/usr/share/man/man?/*
	install -m 644 LICENSE $(DEB)/usr/share/doc/sasyncd/copyright
	install -d $(DEB)/DEBIAN
	install -m 755 conf/debian/p* $(DEB)/DEBIAN/
	sed "s/@VERSION@/$(VERSION)/; s/@ARCH@/$$(dpkg --print-architecture)/" conf/debian/control >$(DEB)/DEBIAN/control
	dpkg-deb --root-owner-group -Zxz -z1 --build $(DEB) dist/
	rm -rf $(DEB)

dist:
	TARGET=$(TARGET) $(TASK) compile
	mkdir -p dist
	mv sasyncd dist/sasyncd-$(VERSION)-$(TARGET)
	cd dist && sha256sum sasyncd-$(VERSION)-$(TARGET) >sasyncd-$(VERSION)-$(TARGET).sha256

lab:
	.ci/setup lab

clean:
	rm -rf sasyncd dist coverage .tools

.PHONY: all setup test check unit sim system demo bench soak fuzz install uninstall deb dist lab clean
