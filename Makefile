# The front door. Everything real is in meson.build, tools/ and tests/.
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=

.PHONY: all help demo test chaos bench lint install uninstall clean
all: $(BUILD)/build.ninja
	ninja -C $(BUILD)
$(BUILD)/build.ninja:
	rm -rf $(BUILD)/meson-private # of a setup that was interrupted; meson takes it for a finished one
	meson setup $(BUILD) --prefix=$(PREFIX) -Dwerror=true
help:
	@echo 'make            build into $(BUILD)/'
	@echo 'make demo       three hosts on this machine, real daemons, real packets (root)'
	@echo 'make test       every test (root)'
	@echo 'make chaos      the fault matrix, whole: killed, cut off, starved, full (root)'
	@echo 'make bench      the figures of README (root)'
	@echo 'make lint       layout, layers, comments, style'
	@echo 'make install    programs, man pages and units; honours DESTDIR and PREFIX'
	@echo 'make uninstall  remove what the latest install of this tree has put there'
	@echo 'make clean      remove what was built'
demo:
	tools/demo
test:
	tools/test
chaos: all
	tools/test chaos-full
bench: all
	bench/run
lint: all
	tools/lint
install: all
	meson configure $(BUILD) --prefix=$(PREFIX)
	DESTDIR=$(DESTDIR) meson install -C $(BUILD)
	@chown -R --no-dereference --reference=. $(BUILD) # theirs whose tree it is, also under sudo
uninstall:
	ninja -C $(BUILD) uninstall
	@chown -R --no-dereference --reference=. $(BUILD)
clean:
	rm -rf build build-*
