# Runs PostgreSQL and sees to it that the server does not outlive the process that wanted it.
#
#   sh -s LAST SCRAP COMMAND... <guard.sh     LAST: the signal to end it with; SCRAP: folder to remove then, or ""
#
# File 3 is a pipe whose other end only that process holds, so it ends when the process ends, even by kill -9. Each line in
# it is the name of a signal for the server. File 4, if open, is the lock that shows whether the server is alive: the
# server and this shell keep it, the watcher does not.
last=$1 scrap=$2
shift 2

"$@" 3<&- </dev/null &
server=$!
(
	while read -r signal <&3; do
		kill -s "$signal" "$server"
	done
	kill -s "$last" "$server"
	patience=30
	while [ "$patience" -gt 0 ] && kill -0 "$server"; do
		sleep 1
		patience=$((patience - 1))
	done
	kill -s QUIT "$server"
) 4<&- 2>/dev/null &
watcher=$!
exec 3<&-

wait "$server"
status=$?
kill "$watcher" 2>/dev/null
if [ -n "$scrap" ]; then
	rm -rf -- "$scrap"
fi
exit "$status"
