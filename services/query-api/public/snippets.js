/** The ready-to-paste programs, one per client. Free of the DOM. */

/**
 * @typedef {object} Target
 * @property {string} host name or address, IPv6 without brackets
 * @property {number} mqttPort
 * @property {string} origin of the HTTP API, such as http://127.0.0.1:8080
 * @property {string} tenant
 * @property {string} device
 * @property {string} secret
 * @property {string} token of the device
 */
/** @typedef {{ id: string, label: string, note: string, reachesOut: boolean, render: (target: Target) => string }} Snippet */

export const NO_SECRET = 'SECRET-OF-THE-DEVICE'
export const NO_TOKEN = 'TOKEN-OF-THE-DEVICE'

/**
 * A name as it stands in a topic.
 * @param {string} name
 */
const inTopic = (name) => name.replace(/[\u0000-\u001f#%+/\u007f-\u009f]/g, encodeURIComponent)
/** @param {Target} target */
const topicOf = ({ tenant, device }) => `t/${tenant}/${inTopic(device)}/telemetry`
/** @param {Target} target */
const userOf = ({ tenant, device }) => `${tenant}/${device}`
/**
 * As encodeURIComponent, but curl takes these four for patterns or shells for quotes.
 * @param {string} name
 */
const inUrlPath = (name) =>
  encodeURIComponent(name).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
/** @param {string} host */
const inUrl = (host) => (host.includes(':') ? `[${host}]` : host)

/**
 * A string for a POSIX shell: nothing in it is expanded.
 * @param {string} text
 */
export const shell = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`

/**
 * A string literal for Python, JavaScript and C: JSON's escapes mean the same in all three.
 * @param {string} text
 */
export const quote = (text) => JSON.stringify(text)

/** @type {readonly Snippet[]} */
export const SNIPPETS = [
  {
    id: 'mosquitto',
    label: 'mosquitto_pub',
    note: 'Debian, Ubuntu: apt install mosquitto-clients. macOS: brew install mosquitto.',
    reachesOut: false,
    render: (target) => `mosquitto_pub -h ${shell(target.host)} -p ${target.mqttPort} -q 1 \\
  -u ${shell(userOf(target))} \\
  -P ${shell(target.secret)} \\
  -t ${shell(topicOf(target))} \\
  -m '{"temperature": 21.5}'`,
  },
  {
    id: 'curl',
    label: 'curl',
    note: 'HTTP instead of MQTT, through the same log. The answer means that the reading is stored there.',
    reachesOut: false,
    render: (
      target,
    ) => `curl -i ${shell(`${target.origin}/v1/devices/${target.tenant}/${inUrlPath(target.device)}/readings`)} \\
  -H ${shell(`Authorization: Bearer ${target.token}`)} \\
  -H 'Content-Type: application/json' \\
  -d '{"temperature": 21.5}'`,
  },
  {
    id: 'python',
    label: 'Python',
    note: 'pip install "paho-mqtt>=2". One reading a second, each acknowledged.',
    reachesOut: false,
    render: (target) => `import json, random, time
import paho.mqtt.client as mqtt

client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.username_pw_set(${quote(userOf(target))}, ${quote(target.secret)})
client.on_connect = lambda client, data, flags, reason, props: print("connect:", reason)
client.connect(${quote(target.host)}, ${target.mqttPort})
client.loop_start()

while True:
    reading = {"temperature": round(random.uniform(20, 23), 2)}
    sent = client.publish(${quote(topicOf(target))}, json.dumps(reading), qos=1)
    sent.wait_for_publish(10)
    print("acknowledged" if sent.is_published() else "no answer yet", reading)
    time.sleep(1)`,
  },
  {
    id: 'node',
    label: 'Node',
    note: 'npm install mqtt, save as reading.mjs, node reading.mjs. One reading a second, each acknowledged.',
    reachesOut: false,
    render: (target) => `import mqtt from 'mqtt'

const client = await mqtt.connectAsync(${quote(`mqtt://${inUrl(target.host)}:${target.mqttPort}`)}, {
  username: ${quote(userOf(target))},
  password: ${quote(target.secret)},
})

while (true) {
  const reading = { temperature: Number((20 + 3 * Math.random()).toFixed(2)) }
  await client.publishAsync(${quote(topicOf(target))}, JSON.stringify(reading), { qos: 1 })
  console.log('acknowledged', reading)
  await new Promise((resolve) => setTimeout(resolve, 1000))
}`,
  },
  {
    id: 'esp32',
    label: 'ESP32',
    note: 'Arduino with PubSubClient. That library publishes at QoS 0 only, which is not acknowledged.',
    reachesOut: true,
    render: (target) => `#include <WiFi.h>
#include <PubSubClient.h>

WiFiClient net;
PubSubClient mqtt(net);

void setup() {
  Serial.begin(115200);
  WiFi.begin("YOUR-WIFI", "YOUR-WIFI-PASSWORD");
  while (WiFi.status() != WL_CONNECTED) delay(250);
  mqtt.setServer(${quote(target.host)}, ${target.mqttPort});
  mqtt.setBufferSize(1024);  // the default of 256 bytes drops longer readings
}

void loop() {
  if (!mqtt.connected() &&
      !mqtt.connect(${quote(target.device)}, ${quote(userOf(target))},
                    ${quote(target.secret)})) {
    Serial.printf("connect failed, state %d\\n", mqtt.state());
    delay(5000);
    return;
  }
  mqtt.loop();
  char reading[64];
  snprintf(reading, sizeof reading, "{\\"temperature\\":%.1f}", temperatureRead());
  mqtt.publish(${quote(topicOf(target))}, reading);
  delay(1000);
}`,
  },
  {
    id: 'tasmota',
    label: 'Tasmota',
    note:
      'Paste into the console of the device. Sensors then arrive as stream SENSOR, its state as STATE, and as LWT the words ' +
      'Online and Offline. Its times have no zone: readings get the time of receipt, which is listed once a day as a warning.',
    reachesOut: true,
    // One line: Tasmota restarts when the line is done, and would lose a second one.
    render: (target) =>
      // What else a name may hold would end a command of the console.
      /[^A-Za-z0-9_.-]/.test(target.device)
        ? 'Tasmota needs a device whose name is of A-Z a-z 0-9 _ . -'
        : [
            `Backlog MqttHost ${target.host}`,
            `MqttPort ${target.mqttPort}`,
            `MqttUser ${userOf(target)}`,
            `MqttPassword ${target.secret}`,
            `Topic ${target.device}`,
            'Prefix1 cmd',
            'Prefix3 telemetry',
            `FullTopic t/${target.tenant}/%topic%/%prefix%/`,
            'TelePeriod 10',
          ].join('; '),
  },
]

/** @param {string} host */
export function isLoopback(host) {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}
