/** What `sasyncd -n` prints: of a file with every statement, and of the smallest one. */

export const FULL_INPUT = `carp interface carp1 interval 10 # the form of OpenBSD 3.8
group ipsec
flushmode never
replay lenient
listen on 192.0.2.1 listen on carp1 inet6 port 5000
mode skipslave
protocol classic
peer 192.0.2.2
peer gw3.example.org port 501 role slave protocol native sharedkey 0x000102030405060708090a0b0c0d0e0f
sharedkey pQ7xLm2Zr9Tb4KwN
sharedkey weak
control all
renegotiate off
control socket /run/sasyncd/control
user _ipsec
kernel xfrm
shared 198.51.100.0/24 shared 2001:db8::/32
exclude 198.51.100.7
demote file /run/sasyncd.demote
metrics listen on ::1
check file /etc/ipsec.conf check file /etc/swanctl/swanctl.conf
`;

export const FULL_OUTPUT = `# "/etc/sasyncd.conf"
interface carp1
group ipsec
flushmode never
replay lenient
listen on 192.0.2.1 port 500
listen on carp1 inet6 port 5000
mode skipslave
protocol classic
peer 192.0.2.2 port 500
peer gw3.example.org port 501 role slave protocol native # sharedkey (hidden, 16 bytes, hex)
# sharedkey (hidden, 16 bytes, ascii)
sharedkey weak
control all
renegotiate off
control socket /run/sasyncd/control
user _ipsec
kernel xfrm
shared 198.51.100.0/24
shared 2001:db8::/32
exclude 198.51.100.7/32
demote file /run/sasyncd.demote weight 100
metrics listen on ::1 port 9752
check file /etc/ipsec.conf
check file /etc/swanctl/swanctl.conf
`;

export const SMALL_INPUT = "mode slave sharedkey 0x000102030405060708090a0b0c0d0e0f";

export const SMALL_OUTPUT = `# "/etc/sasyncd.conf"
group carp
flushmode startup
replay lenient
# listen on all local addresses
mode slave
protocol native
# sharedkey (hidden, 16 bytes, hex)
control isakmpd
renegotiate off
kernel auto
`;
