"""The seeds that are texts, by what they are. Good ones first: a fuzzer goes further from there."""

URLS = [
    "unix:///run/docker/plugins/sshfs.sock", "tcp://192.168.1.1:8080", "http://localhost", "https://[::1]:8443/",
    "https://plugin.example:443", "tcp://localhost:65535", "http://user:pw@proxy:3128", "https://h/path?q=1#f",
    "localhost:8080", "tcp://", "ftp://localhost:21", "unix://run/x.sock", "unix:///" + "s" * 100, "tcp://:8080",
    "tcp://localhost:0", "tcp://localhost:99999999999999999999", "tcp://[::1:80", "tcp://::1:80", "tcp://[fe80::1%25eth0]:1",
    "tcp://h:80/x", "T CP://h:80", "tcp://b\u00fccher:80", "HTTP://H:80", "/run/x.sock", "unix:/run/x.sock", "//h/x",
]
RELATIVES = ["/v2/a/blobs/uploads/1?x=y", "?n=2", "../../b", "https://other:444/x", "//cdn/x", "", "10.0.0.0/8", "a/./b/../c",
             "localhost\n.example\n*", "fd00::/8", "127.0.0.1:80", "#f"]
BAD_SPECS = ["", " \n\t\n", "tcp://h:1\ntcp://h:2\n", "\ufefftcp://h:1\n", "tcp://h:80\0", "\n  tcp://h:1 \r\n",
             '{"Name": "x", "Addr": "tcp://h:1"}', "t\0c\0p\0", "tcp://h:1\r\nX: y"]
JSON_DEFINITIONS = [
    '{"Name": "sshfs", "Addr": "tcp://h:80"}',
    '{\n  "Name": "sshfs",\n  "Addr": "https://h:80",\n  "TLSConfig": {\n    "InsecureSkipVerify": false,\n'
    '    "CAFile": "/ca.pem",\n    "CertFile": "/c.pem",\n    "KeyFile": "/k.pem",\n  }\n}\n',
    '{"name": "vieux/sshfs", "ADDR": "unix:///run/x.sock", "tlsconfig": null}',
    '{"Name": "sshfs", "Addr": "tcp://h:80", "TLSConfig": {}}', '{"Name": "other", "Addr": "tcp://h:80"}',
    '{"Name": "sshfs", "Addr": "tcp://h:80", "TLSConfig": {"CAFile": 1}}', '{"Name": "sshfs", "Addr": 8080}',
    '{"Name": "sshfs", "Addr": "http://h:80", "TLSConfig": {"CAFile": "/ca.pem"}}', "[]", "null", "", '{"Name": "sshfs",',
    '{"Name": "sshfs", "Addr": "nowhere"}', '{"Name": "sshfs", "Name": "sshfs", "Addr": "tcp://h:1", "addr": "tcp://h:2"}',
    '{"Name": "sshfs", "Addr": "tcp://h:80", "TLSConfig": {"KeyFile": "/k.pem"}}',
    '\ufeff{"Name": "sshfs", "Addr": "tcp://h:80"}', '{"Name": "sshfs", "Addr": "tcp://h:80"} trailing',
    '{"Name": "sshfs", "Addr": "unix:///x", "TLSConfig": {"Odd": [1, {"a": []}], "CAFile": ""}, "More": {"x": {}}}',
    '{"\\u004eame": "sshfs", "Addr": "tcp:\\/\\/h:80"}', "[" * 200 + "]" * 200,
]
REFERENCES = [
    "sshfs", "vieux/sshfs", "vieux/sshfs:latest", "docker.io/vieux/sshfs:latest", "localhost:5000/a/b:1.2-x_3",
    "index.docker.io/a/b", "[fd00::1]:5000/x", "registry.example/a__b/c-d.e@@A@", "a.b/c", "docker.io/a.b/c", "UPPER/x", "x/UPPER",
    "localhost/x", "a" * 64, "a" * 256, "x:" + "t" * 129, "x@sha256:12", "x@sha512:" + "a" * 128, "", "/", "a//b", "a/./b",
    "a/..", ".hidden", "a:b:c", "a@b@c", "under_score.com/x", "x:-t", "a..b", "a---b", "@A@", "a/b/c/d/e:t@@B@", "-a/b", "a b",
]
JSONS = [
    '{"Implements": ["VolumeDriver", "NetworkDriver"]}', '{"Implements": []}', '{"Implements": ["Odd"]}', '{"Implements": [1]}',
    "null", "true", "-0.0", "1e308", "1e999", "123456789012345678901234567890", '"\\ud83d\\ude00\\u0000"', '"\\ud800"',
    '{"a": 1, "a": [2, {"b": null}], "": {}}', '{ "a" : [ ] , }', "[1,2,]", '{"a":1,,}', "[" * 300, "[" * 100 + "]" * 100, '{"a":{"b":{"c":{}}}}',
    "\ufeff{}", "{}\0", "{}\0x", " \t\r\n{}\n", '"\x7f\u0085"', "{'a':1}", '{"a":1}{"b":2}', '{"a"\n:\n"x:y"\n,\n"b":"}"}', "01", "+1", ".5", "NaN",
    '"\udcff"', '{"\udcc3(": 1}',
]
_FULL = (
    '{"Args":{"Description":"y","Name":"args","Settable":["value"],"Value":["a","b"]},"Description":"full","DockerVersion":"20.10.24",'
    '"Documentation":"http://x","Entrypoint":["/bin/x","-v"],"Env":[{"Description":"x","Name":"A","Settable":["value"],"Value":"1"},'
    '{"Description":"","Name":"B","Settable":null,"Value":null},{"Description":"","Name":"C","Settable":[],"Value":null}],'
    '"Interface":{"ProtocolScheme":"moby.plugins.http/v1","Socket":"x.sock","Types":["docker.volumedriver/1.0","docker.authz/2"]},'
    '"IpcHost":true,"Linux":{"AllowAllDevices":true,"Capabilities":["CAP_SYS_ADMIN","CAP_NET_ADMIN"],"Devices":[{"Description":"",'
    '"Name":"fuse","Path":"/dev/fuse","Settable":["path"]},{"Description":"opt","Name":"n2","Path":null,"Settable":["path"]}]},'
    '"Mounts":[{"Description":"d","Destination":"/mnt/a","Name":"m1","Options":["rbind","rw"],"Settable":["source"],"Source":"/tmp",'
    '"Type":"bind"},{"Description":"","Destination":"/mnt/b","Name":"","Options":null,"Settable":null,"Source":null,"Type":"tmpfs"}],'
    '"Network":{"Type":"host"},"PidHost":true,"PropagatedMount":"/data","User":{"GID":6,"UID":5},"WorkDir":"/w",'
    '"rootfs":{"diff_ids":["@A@"],"type":"layers"}}')
_SMALL = '{"entrypoint":["/bin/x"],"interface":{"types":["docker.volumedriver/1.0"],"socket":"x.sock"}'
_SEED = (
    '{"description": "sshFS plugin for Docker", "entrypoint": ["/go/bin/docker-volume-sshfs"], "network": {"type": "host"},\n'
    ' "interface" : {"types": ["docker.volumedriver/1.0"], "socket": "sshfs.sock"}, "capabilities": ["CAP_SYS_ADMIN"]}')
_MEMBERS = [
    '"description":"<a> & \u2028"', '"workdir":"relative"', '"workdir":"/a/../b"', '"network":{"type":"none"}', '"user":{"uid":-1}',
    '"user":{"uid":4294967296}', '"propagatedMount":"/"', '"env":[{"name":"A","value":"x=y","settable":["value"]}]',
    '"env":[{"name":""}]', '"env":[null]', '"mounts":[{"name":"m","source":"","destination":"/x","type":"bind","settable":["source"]}]',
    '"mounts":[{"destination":"x","type":"bind"}]', '"linux":{"devices":[{"name":"d","path":"/dev/../x"}]}',
    '"linux":{"capabilities":["CAP_NONE"]}', '"args":{"name":"args","value":["a"],"settable":["value"]}', '"pidhost":"yes"',
    '"Interface":{}', '"x-new":{"a":1,"a":2}', '"devices":[{"name":"old","path":"/dev/x"}]', '"rootfs":{"diff_ids":["x"]}',
    '"documentation":"\\u0000"', '"args":null,"env":null,"mounts":null,"linux":null',
]
CONFIGS = [_FULL, _SMALL + "}", _SEED] + [_SMALL + "," + member + "}" for member in _MEMBERS]
_KEPT = (
    '{"Args":["a"],"Devices":[{"Description":"","Name":"fuse","Path":"/dev/fuse","Settable":["path"]}],"Env":["A=1"],"Mounts":['
    '{"Description":"d","Destination":"/mnt/a","Name":"m1","Options":["rbind"],"Settable":["source"],"Source":"/t","Type":"bind"}]}')
_SETS = [
    "A=2", "A=2\nm1.source=/x\nfuse.path=/dev/y\nargs=a b c", "m1=/y\nfuse=/z\nargs.value=x", "A.value=", "A", "B=1", "C=", "nobody=1", "m1.type=bind",
    "m1=relative", "fuse.path=", "args=", "args=a  b", "A=1\nA=2", ".value=x", "=x", "A.=x", "n2=/dev/n2", "A=\u00e9\u2028", "args.name=x", "m1.source",
]
SETTINGS = ([f"{_FULL}\n%%\n{_KEPT}\n%%\n{line}" for line in _SETS] +
            [f"{_SMALL}}}\n%%\n{text}\n%%\nA=1" for text in
             ("{}", "[]", '{"Env":["novalue"]}', '{"Env":["=x"]}', '{"Env":null,"Args":[]}', '{"Mounts":[{"Name":"a"}]}', "\ufeff{}", '{"env":["A=1"],"ENV":[]}')] +
            [f"{_SMALL},{member}}}\n%%\n{{}}\n%%\nA=1\nm=/x" for member in _MEMBERS[7:15]])
_ID = "0123456789abcdef" * 4
_V1 = f'{{"plugin":{{"Id":"{_ID}","Name":"a/b:latest","Active":true,"Manifest":{_SMALL}}},"Config":{{"Env":["A=1"]}}}}}}'
_V2 = f'{{"plugin":{{"Config":{_SMALL}}},"Enabled":true,"Id":"{_ID}","Name":"a/b:latest","Settings":{{"Env":["A=1"]}}}}}}'
_V3 = f'{{"plugin":{{"Id":"{_ID}","name":"a/b","Tag":"1","Config":{_SMALL}}},"Config":{{"Env":[]}},"Enabled":false}}}}'
_OURS = (f'{{"plugin":{{"Id":"{_ID}","Name":"a/b:latest","Enabled":true,"Config":{_SMALL}}},"Settings":{_KEPT}}},"brokerd":{{"Version":1,'
         '"Remote":"docker.io/a/b:latest","EnableTimeout":30,"Granted":[{"Name":"network","Description":"","Value":["host"]}],'
         '"ManifestDigest":"@A@","ConfigDigest":"@B@","LayerDigests":["@C@"],"Created":"2024-01-02T03:04:05Z","Revision":3,"Swap":"x"}}')
PLUGINS_FILES = (
    [f'{{"{_ID}":{value}}}' for value in (_V1, _V2, _V3, _OURS, "{}", "null", "[]", '{"plugin":{}}', '{"plugin":null}')] +
    [f'{{\n"{_ID}":{_V2},\n"cd851ce43a403":{_V1},\n}}\n', "{}", "{", "", '{"../x":{}}', f'{{"{_ID}":{_V2},"{_ID}":{_V2}}}', f'{{"a":{_V2},"b":{_V2}}}',
     f'{{"{_ID}":{{"plugin":{{"Name":"a/b:latest","Enabled":true}}}}}}\n%%\n{_FULL}\n%%\n{_KEPT}',
     f'{{"{_ID}":{{"plugin":{{"Name":"a/b"}}}}}}\n%%\n{_SMALL}}}\n%%\n', f'{{"{_ID}":{_V2.replace("a/b:latest", "UPPER")}}}',
     f'{{"{_ID}":{_OURS.replace("30", "-1")}}}', f'{{"{_ID}":{_OURS.replace("2024", "1")}}}', '{"\\u0061":{},"a":{}}'])
_CONFIG_BLOB = '"config":{"mediaType":"application/vnd.docker.plugin.v1+json","digest":"@A@","size":665}'
_LAYER = '{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","digest":"@B@","size":1360}'
_DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_OCI = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"


def _entry(more, digest="@A@"):
    return f'{{"mediaType":"{_DOCKER}","digest":"{digest}","size":415{more}}}'


MANIFESTS = [
    f'{_DOCKER}\n{{"schemaVersion":2,"mediaType":"{_DOCKER}",{_CONFIG_BLOB},"layers":[{_LAYER}]}}',
    f'\n{{"schemaVersion":2,{_CONFIG_BLOB},"layers":[{_LAYER},{_LAYER}],"annotations":{{"a":"b"}}}}',
    f'{_OCI}; charset=utf-8\n{{"schemaVersion":2,{_CONFIG_BLOB.replace("docker.plugin.v1", "oci.image.config.v1")},"layers":[]}}',
    f'application/json\n{{"schemaVersion":2,{_CONFIG_BLOB},"layers":[{_LAYER.replace("gzip", "zstd")}]}}',
    f'{_OCI}\n{{"schemaVersion":2,{_CONFIG_BLOB},"layers":[{_LAYER.replace("docker.image.rootfs.diff.tar.gzip", "oci.image.layer.v1.tar+zstd")}]}}',
    f'{_INDEX}\n{{"schemaVersion":2,"manifests":[' + _entry(',"platform":{"os":"linux","architecture":"amd64"}') + "]}",
    f'{_LIST}\n{{"schemaVersion":2,"mediaType":"{_LIST}","manifests":[' + _entry(',"platform":{"os":"linux","architecture":"arm","variant":"v7"}') +
    "," + _entry(',"platform":{"os":"windows","architecture":"amd64"}', "@B@") + "]}",
    '\n{"schemaVersion":2,"manifests":[' + _entry("") + "]}", '\n{"schemaVersion":2,"manifests":[]}',
    f'\n{{"schemaVersion":2,{_CONFIG_BLOB},"layers":[],"manifests":[]}}', f'\n{{"schemaVersion":2,{_CONFIG_BLOB},"Layers":[],"layers":[]}}',
    '\n{"schemaVersion":1,"name":"x","fsLayers":[]}', f'{_LIST}\n{{"schemaVersion":2,"mediaType":"{_DOCKER}",{_CONFIG_BLOB},"layers":[]}}',
    f'\n{{"schemaVersion":2,{_CONFIG_BLOB.replace("665", "-1")},"layers":[]}}', f'\n{{"schemaVersion":2,{_CONFIG_BLOB.replace("665", "1e18")},"layers":[]}}',
    f'\n{{"schemaVersion":2,{_CONFIG_BLOB},"layers":[{_LAYER.replace("@B@", "sha256:x")}]}}', "\n[]", "\n", "text/html\n<html>",
    '\n{"Interface":{"Types":["docker.volumedriver/1.0"]}}', f'\n{{"schemaVersion":2,{_CONFIG_BLOB},"layers":[{_LAYER}]}}\0trailing',
]
CHALLENGES = [
    'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"\n%%\n5\n%%\n'
    '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}',
    'Basic realm="a b", charset="UTF-8"\n%%\nFri, 31 Dec 1999 23:59:59 GMT\n%%\n{"message":"no"}',
    'Basic realm=x, Bearer realm=y, z=1\n%%\n99999999999999999999\n%%\n{"details":"d"}', "Negotiate abc+/==, Basic realm=x\n%%\n-1\n%%\n<html>",
    'X a="\\"\\\\b"\n%%\n\n%%\n{"errors":[]}', "Bearer  Realm = x , service\t=\ty", ", ,Basic realm=x,, charset=y ,", "NTLM a=, Basic b=c", "Basic",
    'Basic realm=""', "=", "realm=x", 'Basic realm="x', 'Basic realm="x\\', "Basic realm=x y", "Basic a=1,A=2", "B@sic a=b", 'Basic a="b" c=d',
    "A,B,C,D,E,F,G,H,I", "X " + ",".join(f"p{i}=v" for i in range(17)), 'X a="\u00e9\t"\n%%\nWed, 21 Oct 2099 07:28:00 GMT\n%%\n'
    '{"errors":[{"code":"DENIED","message":"\\u001b[31m\\n","detail":"x"},{"code":1},{},{}]}', '\n%%\n\n%%\n{"errors":{"a":1},"error":"\\u0000"}',
]
CONTROL_REQUESTS = [
    "GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n", "GET /v1.41/plugins?filters=%7B%22enabled%22%3A%5B%22true%22%5D%7D HTTP/1.1\r\nHost: docker\r\n\r\n",
    "POST /v1.41/plugins/a%2Fb:latest/set HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n[\"A=1\"]",
    "POST /plugins/create?name=x HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "HEAD / HTTP/1.0\r\n\r\n", "GET /a%00b HTTP/1.1\r\nHost: x\r\n\r\n", "GET /?a=%zz HTTP/1.1\r\nHost: x\r\n\r\n", "GET /?a=1&a=2&=3&b&%41=+ HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /v99999999999.1/x HTTP/1.1\r\nHost: x\r\n\r\nGET /v1..2/y HTTP/1.1\r\nHost: x\r\n\r\n", "GET http://h/x HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n", "DELETE /plugins/x?force=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n\r\n",
]
CONTROL_BODIES = [
    '[{"Name":"network","Description":"d","Value":["host"]},{"Name":"mount","Value":["/a","/b"]}]', "null", "", "[]", '[{"name":"x"}]', '[{"Name":""}]',
    '["A=1","m.source=/x"]', '{"Memory":67108864,"NanoCpus":500000000,"Pids":100,"Settings":["A=1"]}', '{"Memory":-1}', '{"Memory":1e3}', '{"Pids":"1"}',
    '{"Privileges":[{"Name":"network","Value":["host"]}],"Settings":["A=1"]}', '{"Privileges":null,"Settings":null}', '{"Path":"/var/lib/docker/plugins"}',
    '{"enabled":["true"],"capability":["volumedriver"]}', '{"enabled":{"true":true}}', '{"type":["plugin"],"event":["enable"],"label":["name=x"],"image":["a/b"]}',
    '{"plugin":["a"],"odd":["x"]}', '{"enabled":1}', '{"event":[1]}', "{", '{"a":{"b":1}}',
]
REGISTRY_AUTHS = ['{"username":"u","password":"p:q","serveraddress":"https://index.docker.io/v1/"}', '{"identitytoken":"t"}', '{"registrytoken":"a\\nb"}',
                  '{"auth":"dTpw"}', "null", "{}", "[]", '{"username":1}', '{"serveraddress":"h:5000","username":"u"}']
WORKER_REPORTS = ["P 0 100\nP 1 5\nD @A@\nT 3 100 0\n", "C 5\nhelloT 1 2 3\n", "E the archive is no good\n", "F entry \"x\": it cannot be made\n", "T 1 2\n", "P 9 1\n",
                  "C 99999999999\n", "D x\n", "X y\n", "T 18446744073709551616 0 0\n", "E \n", "E a\nT 1 2 3\n", "C 0\nC 0\n", "P  0\n", "D @A@\nD @A@\nD @A@\nD @A@\n"]
PATH_ANSWERS = [
    '/data\n{"Mountpoint":"/data/vol","Err":""}', '/data\n{"Volume":{"Name":"v","Mountpoint":"/data/v","Status":{"Mountpoint":"/x"}}}',
    '/data\n{"Volumes":[{"Name":"a","Mountpoint":"/data/a"},{"Name":"b","Mountpoint":""},{"Mountpoint":null}]}', '\n{"Mountpoint":"/mnt/../../etc"}',
    '/\n{"Mountpoint":"relative/./x//y"}', '/data/\n{"mountpoint":"/database"}', '/data\n{"Mountpoint":1}', "/data\n[]", "/data\n{", '/data\n{"Mountpoint":"/a\\u0000b"}',
    '/data\n{"Mountpoint":"/data","Mountpoint":"/data/.."}', '/data\n{"n":1e400,"m":-0.0,"k":123456789012345678901234567890}', '/data\n{"Volumes":{"Mountpoint":"/x"}}',
    '/data\n{"Volumes":[[{"Mountpoint":"/x"}]],"Volume":[{"Mountpoint":"/y"}]}', '/d\u00e9\n{"\\u004dountpoint":"/d\u00e9/x"}', "..\n{\"Mo\u0075ntpoint\":\"..\"}",
]
CONFS = [
    "state-root = /var/lib/brokerd\nlog-level = debug\n", "spec-dir = [\"/a\", \"/b\"]\nspec-dir = /c\n", "answer-timeout = sshfs=30\nanswer-timeout = 10\n",
    "# comment\n; other\n[section]\nproxy-threads = 2\n", "proxy-threads = 0\n", "unknown = 1\n", "log-level\n", "allow-unsafe-files = true\nlive-restore = false\n",
    "insecure-registry = 10.0.0.0/8\nregistry-mirror = https://m:5000\n", "insecure-registry = a b\n", "answer-timeout = [\n  \"1\",\n  \"a/VolumeDriver.Mount=3\"\n]\n",
    "state-root = relative\n", "max-connections = 99999999999999999999\n", "request-timeout=1.5\n", "config = /etc/passwd\n", "a.b.c = 1\n", "\"log-level\" = 'info'\n", "log-level = \"\n",
    "activation=lazy\nhealth-interval=0\nrestart-unhealthy=on\n", "log-level = info debug\n", "\0", "= x\n", "[\n", "group = {a}\n", "check-config = true\n", "oci-runtime = \n",
]
SHORT_TEXTS = [
    "2024-07-28T12:00:00Z", "2024-07-28", "1785240000.5", "1h30m", "90s", "2024-07-28T12:00:00.123456789+02:00", "64m", "1.5GiB", "67108864", "0.5", "2", "100", "sshfs=30",
    "vieux/sshfs/VolumeDriver.Mount=300", "120", "0", "9223372036854775807", "99999999999999999999", "-1", "1e3", "0.0000000001", "1.", ".5", "1kk", "9999-12-31", "2262-04-11",
    "292277026596-01-01", "1\u00b5s", "1us", "2540400h", "a=b=c", "=1", "dTpw", "dTpw====", "-_8=", "10.0.0.0/8", "https://m:5000/", "ssh://user@host:22/run/x.sock", "ssh://[::1]", "ssh://-oX",
]
_OBJECT = '{"Name":"a\\u001b[31m","Enabled":true,"Config":{"Env":["A=1","B=2"],"N":3,"Null":null},"Size":1.5,"List":[]}'
TEMPLATES = [f"{text}\n%%\n{_OBJECT}" for text in (
    "{{.Name}}", "{{json .}}", "{{.Name}}\t{{.Config.N}}", "table {{.Name}}", "{{range .Config.Env}}{{.}} {{end}}", "{{if .Enabled}}y{{else}}n{{end}}",
    "{{range $i, $e := .Config.Env}}{{$i}}={{$e}},{{else}}none{{end}}", "{{with .Config}}{{.N}}{{end}}", "{{printf \"%5d|%-3s|%q\" .Config.N .Name .Name}}",
    "{{- .Name -}} x", "{{/* c */}}", "{{.Name | upper | lower | title}}", "{{len .Config.Env}} {{index .Config.Env 0}}", "{{join .Config.Env \", \"}}", "{{split .Name \"[\"}}",
    "{{and .Enabled (not .Size)}}", "{{eq .Config.N 3}} {{lt 1 2}} {{ne \"a\" `b`}}", "{{$x := .Name}}{{$x = .Size}}{{$x}}", "{{pad .Name 3 4}}{{truncate .Name 2}}", "{{println .}}",
    "{{.Odd}}", "{{", "{{end}}", "{{if}}", "{{range .}}", "{{printf \"%\" 1}}", "{{printf \"%999999999d\" 1}}", "{{slice .Name 1 2}}", "{{html .Name}}{{js .Name}}{{urlquery .Name}}", "{{index . \"Name\"}}")]
TERMINAL_TEXTS = [
    "plain", "\x1b[31mred\x1b[0m", "a\tb\nc", "\u202eevil", "\udcff\udcfe", "\u2028line", "\u0085\u009b", "caf\u00e9 \U0001f600", '{"a":"\\u001b","b":[1,2,{}]}', '{"n":1e400}', "[" * 50 + "]" * 50,
    "panic: runtime error: x\n\ngoroutine 1 [running]:\nmain.main()\n", "exec /x: exec format error", '{"level":"error","msg":"no such file","time":"2024-01-01T00:00:00Z"}\n{"level":"fatal","msg":"x"}\n',
    "x" * 300, "\u00e9" * 200, "a\r\nb", "\x7f", "\\", "key=value", "capability=VolumeDriver",
]
SECCOMP_PROFILES = [
    '{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]}],'
    '"syscalls":[{"names":["read","write"],"action":"SCMP_ACT_ALLOW","args":[{"index":2,"value":9,"valueTwo":1,"op":"SCMP_CMP_MASKED_EQ"}],'
    '"includes":{"caps":["CAP_SYS_ADMIN"],"arches":["amd64"],"minKernel":"4.8"},"excludes":{"caps":["CAP_KILL"]}}]}',
    '{"defaultAction":"SCMP_ACT_ALLOW"}', '{"defaultAction":"SCMP_ACT_ERRNO","defaultErrno":"ENOSYS","flags":["SECCOMP_FILTER_FLAG_LOG"],"architectures":["SCMP_ARCH_X86"],"syscalls":[]}',
    '{"defaultAction":"X"}', "{}", "[]", '{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"name":"mount","action":"SCMP_ACT_ERRNO","errno":"EPERM","comment":"c"}]}',
    '{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":[],"action":"SCMP_ACT_ALLOW"}]}', '{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["x"],"action":"SCMP_ACT_ALLOW","args":[{"index":9}]}]}',
    '{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["x"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"4"}}]}', '{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":-1}',
]
SHIM_FILES = [
    '{"Pid":12,"PidStart":345,"ShimPid":11,"ShimStart":344,"Started":"2024-01-02T03:04:05.123456789Z"}', '{"Kind":"exited","Status":1,"OutOfMemory":false,"LastWords":"no","At":"2024-01-02T03:04:05Z"}',
    '{"Kind":"killed","Status":9,"OutOfMemory":true,"LastWords":"\\u001b[1m","At":""}', '{"Error":"the runtime said no"}', '{"Pid":0,"PidStart":1}', '{"Pid":1,"PidStart":-1}', '{"Kind":"odd"}', "{}", "[]", "",
    '{"Time":"2024-01-02T03:04:05.000000001Z","Stream":"stdout","Message":"hello"}\n{"Time":"x","Stream":"stderr","Message":"a\\nb","Partial":true}\n', '{"Message":1}\n\n{"Message":"x"}', "{\n", "a\nb\nc", "\u00e9" * 100 + "\n",
    '{"level":"error","msg":"container_linux.go: starting container process caused: exec: \\"x\\": executable file not found in $PATH","time":"x"}\n', "panic: x\n", "\n\n\n",
]
_M = '{"schemaVersion":2,"config":{"mediaType":"application/vnd.docker.plugin.v1+json","digest":"@CONFIG@","size":@CONFIG_SIZE@},"layers":[]}'
_I = '{"schemaVersion":2,"manifests":[{"mediaType":"' + _OCI + '","digest":"@MANIFEST@","size":@MANIFEST_SIZE@%s}]}'
LAYOUTS = [f"{index}\n%%\n{_M}\n%%\n{_SMALL}}}" for index in (
    _I % "", _I % ',"annotations":{"org.opencontainers.image.ref.name":"a/b:1"}', _I % ',"annotations":{"io.brokerd.plugin.reference":"docker.io/a/b:1"}',
    _I % ',"platform":{"os":"linux","architecture":"amd64"}', _I % ',"platform":{"os":"plan9","architecture":"mips"}', '{"schemaVersion":2,"manifests":[]}', "{}", "[]", _I.replace("@MANIFEST_SIZE@", "1") % "",
    _I.replace("@MANIFEST@", "@CONFIG@") % "")] + [(_I % "") + "\n%%\n" + _M.replace("@CONFIG@", "@A@") + "\n%%\n{}", (_I % "") + "\n%%\n[]\n%%\n{}",
    (_I % "") + "\n%%\n" + _M.replace('"layers":[]', '"layers":[' + _LAYER.replace("@B@", "@CONFIG@").replace("1360", "@CONFIG_SIZE@") + "]") + "\n%%\n" + _SMALL + "}"]
TOKEN_ANSWERS = ['{"token":"abc","expires_in":300}', '{"access_token":"x.y.z"}', '{"token":"","access_token":"y"}', '{"token":"a b"}', '{"token":1}', '{"token":"x","expires_in":-1}',
                 '{"token":"x","expires_in":99999999999}', '{"token":"x","expires_in":0}', "{}", "[]", "", '{"token":"\\r\\nX: y"}', '{"expires_in":"60","token":"t"}']
