#!/bin/sh
# perl's own tests, beside the installed perl: perl_core.sh FOLDER leaves them in FOLDER/t, ready to run there.
#
# They come from the distribution's source package, by a configuration of apt for this alone: the system's
# own lists and sources stay as they are.  The perl that is tested is the installed one: `lib` leads to
# its modules.
set -eu
folder=$1
[ ! -e "$folder/ready" ] || exit 0
rm -rf "$folder" && mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial" && cd "$folder"

apt-get indextargets --format 'deb-src [trusted=no] $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' \
	'Component: main' 'Origin: Debian' | sort -u | grep -v -e -security >apt/sources || true
[ -s apt/sources ] || apt-get indextargets --format 'deb-src [trusted=no] $(REPO_URI) $(RELEASE) $(COMPONENT)' \
	'Created-By: Packages' 'Component: main' 'Origin: Ubuntu' | sort -u | grep -v -e -security >apt/sources
for ring in /usr/share/keyrings/debian-archive-keyring.gpg /usr/share/keyrings/ubuntu-archive-keyring.gpg; do
	[ ! -e "$ring" ] || sed -i "s|trusted=no|signed-by=$ring|" apt/sources
done
cat >apt/conf <<END
Dir::Etc::sourcelist "$folder/apt/sources";
Dir::Etc::sourceparts "-";
Dir::State::lists "$folder/apt/lists";
Dir::Cache "$folder/apt/cache";
APT::Sandbox::User "root";
END
export APT_CONFIG="$folder/apt/conf"
apt-get update -q >/dev/null
apt-get source -q --download-only perl >/dev/null
tar -xf perl_*.orig.tar.xz --strip-components=1
rm -rf lib apt ./*.tar.xz ./*.dsc && mkdir lib
perl -MConfig -e 'print "$_\n" for @Config{qw(privlibexp archlibexp)}, grep { /perl-base/ } @INC' | while read -r modules; do
	cp -rsf "$modules/." lib/
done
ln -s "$(command -v perl)" perl && ln -s "$(command -v perl)" t/perl
touch ready
