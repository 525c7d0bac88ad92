"""paho-mqtt for Python, told what to do by lines of JSON on stdin; answers and messages are lines on stdout."""

import json
import select
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

output = threading.Lock()


def say(**what):
    with output:
        print(json.dumps(what), flush=True)


class Client:
    def __init__(self, name):
        self.name = name
        self.client = None
        self.pending = {}

    def connect(self, done, way, version, clientId, clean, keepalive, will):
        common = {'client_id': clientId, 'reconnect_on_failure': False}
        if version == 5:
            client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5, **common)
        else:
            client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, clean_session=clean, **common)
        if 'ca' in way:
            client.tls_set(way['ca'])
        if will:
            client.will_set(will['topic'], will['payload'], will['qos'])
        client.on_connect = lambda c, u, flags, reason, p: done(
            {'error': str(reason)} if reason.is_failure else {'ok': flags.session_present})
        client.on_message = self.message
        client.on_subscribe = lambda c, u, mid, reasons, p: self.answer(mid, [r.value for r in reasons])
        client.on_unsubscribe = lambda c, u, mid, reasons, p: self.answer(mid, None)
        client.on_publish = lambda c, u, mid, reason, p: self.answer(mid, None)
        self.client = client
        self.pending = {}
        session = {}
        if version == 5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 0 if clean else 0xffffffff
            session = {'clean_start': clean, 'properties': properties}
        client.connect('localhost', way['port'], keepalive, **session)
        client.loop_start()

    def message(self, client, userdata, message):
        retained = ' retained' if message.retain else ''
        say(client=self.name, message='%s %s %d%s' % (message.topic, message.payload.decode(), message.qos, retained))

    def expect(self, done, mid):
        """The answer may have come before its id is known here."""
        with output:
            early = self.pending.pop(mid, None)
            if early is None:
                self.pending[mid] = done
        if early is not None:
            done(early)

    def answer(self, mid, value):
        with output:
            done = self.pending.pop(mid, None)
            if done is None:
                self.pending[mid] = {'ok': value}
        if done is not None:
            done({'ok': value})

    def subscribe(self, done, filters):
        self.expect(done, self.client.subscribe([tuple(each) for each in filters])[1])

    def unsubscribe(self, done, filter):
        self.expect(done, self.client.unsubscribe(filter)[1])

    def publish(self, done, topic, payload, qos, retain):
        self.expect(done, self.client.publish(topic, payload, qos, retain).mid)

    def stop_loop(self):
        """The loop ends when its select returns: woken here, and not by its timeout of a second."""
        wake = threading.Timer(0.02, lambda: self.client._sockpairW.send(b'0'))
        wake.start()
        self.client.loop_stop()
        wake.join()

    def mute(self, done):
        self.stop_loop()
        done({'ok': None})

    def silence(self, done):
        self.stop_loop()
        socket = self.client.socket()
        try:
            while True:
                select.select([socket], [], [], 30)
                if not socket.recv(4096):
                    break
        except OSError:
            pass
        done({'ok': None})

    def drop(self, done):
        self.stop_loop()
        self.client.socket().close()
        done({'ok': None})

    def disconnect(self, done):
        self.client.on_disconnect = lambda c, u, flags, reason, p: done({'ok': None})
        self.client.disconnect()


clients = {}


def once(number):
    """The answer to a command: the first counts."""
    answered = threading.Event()

    def done(result):
        if not answered.is_set():
            answered.set()
            say(id=number, **result)

    return done


for line in sys.stdin:
    command = json.loads(line)
    client = clients.setdefault(command['client'], Client(command['client']))
    done = once(command['id'])
    try:
        getattr(client, command['do'])(done, **command['with'])
    except Exception as error:
        done({'error': repr(error)})
