# Run by the agent's user in a machine that is open and empty: GATEWAY TCP_PORT UDP_PORT WORD
# Starts no program: under emulation each takes longer than all of this.
exec 2>/dev/null
echo "user $EUID ${GROUPS[*]}"
while read -r name value; do
  case $name in CapInh: | CapPrm: | CapEff: | CapAmb:) echo "${name%:} $value" ;; esac
done </proc/self/status
while read -r interface destination gateway _; do
  [ "$interface" = Iface ] || [ "$gateway" = 00000000 ] || echo "route $interface $destination"
done </proc/net/route
for port in /dev/vport* /dev/virtio-ports/*; do
  [ -r "$port" ] || [ -w "$port" ] && echo "control open"
done
dns=${1%.*}.3
# A question for example.com, type A, as DNS puts it
exec 4<>"/dev/udp/$dns/53" &&
  printf '\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01' >&4
printf %s "$4" >"/dev/udp/$1/$3"
for where in "$1/$2" "$1/22" "$1/2222" "$dns/53" 169.254.169.254/80 192.0.2.1/443; do
  { echo "reached ${where/\//:}"; } 3<>"/dev/tcp/$where"
done
IFS= read -r -t 0.2 -n 1 _ <&4 && echo "reached $dns:53 by UDP"
echo end
