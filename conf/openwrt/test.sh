#!/bin/sh
# Called by the feed's CI in a container that has a package installed: by its name and its version.

case $1 in
fetchlogs-server)
	gen_numbers --version | grep -F "$2" || exit 1
	# A stock system is configured to serve its log, if the log is written to a file.
	gen_numbers-init -n 10.4.3.1 >/tmp/gen_numbers.test || exit 1
	gen_numbers -t -c /tmp/gen_numbers.test
	;;
fetchlogs-collector)
	fetch_logs --version | grep -F "$2" || exit 1
	snmp_from_file --version | grep -F "$2" || exit 1
	echo "10.4.3.5 19 /var/log/messages /tmp/copy /tmp/copy.pointer" >/tmp/fetch_logs.test
	fetch_logs -t /tmp /tmp/fetch_logs.test
	;;
esac
