# The front door. Everything real is in meson.build, tools/ and tests/.
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=

.PHONY: all demo test bench lint install clean
all: $(BUILD)/build.ninja
	ninja -C $(BUILD)
$(BUILD)/build.ninja:
	meson setup $(BUILD) --prefix=$(PREFIX) -Dwerror=true
demo:
	tools/demo
test:
	tools/test
bench: all
	bench/run
lint: all
	tools/lint
install: all
	meson configure $(BUILD) --prefix=$(PREFIX)
	DESTDIR=$(DESTDIR) meson install -C $(BUILD)
clean:
	rm -rf build build-*
