import { isIP } from 'node:net'
import { integer, oneOf, optionalText, port, secret, type Config, type Setting } from '../shared/config.ts'

/** Settings of the ways into the broker. */
export const listenerSettings = {
  MQTT_PORT: port(1883, 'Port of MQTT over TCP; 0 = chosen by the system.'),
  MQTT_TLS_PORT: port(8883, 'Port of MQTT over TLS; listens once MQTT_TLS_CERT_FILE is set.'),
  MQTT_WS_PORT: optionalPort('Port of MQTT over WebSocket, usually 9001; off when unset.'),
  MQTT_WSS_PORT: optionalPort('Port of MQTT over WebSocket and TLS; needs MQTT_TLS_CERT_FILE; off when unset.'),
  MQTT_WS_ORIGINS: list(
    'Origins of other hosts whose pages may connect over WebSocket, as https://host[:port] separated by commas; * = all.',
    (entry) => entry === '*' || /^https?:\/\/[^/\s]+$/.test(entry),
    'an origin',
  ),
  MQTT_TLS_CERT_FILE: optionalText(
    'Certificate of the broker with its chain, PEM; turns TLS on. Changes are picked up within 2 s.',
  ),
  MQTT_TLS_KEY_FILE: optionalText('Private key of the certificate, PEM.'),
  MQTT_TLS_CA_FILE: optionalText('CAs whose client certificates are accepted, PEM.'),
  MQTT_TLS_CRL_FILE: optionalText('Revocation list (CRL) of client certificates, PEM.'),
  MQTT_TLS_CLIENT_AUTH: oneOf(
    'none',
    ['none', 'request', 'require'],
    'Whether clients log in with a certificate, CN {tenant}/{device}: never, if they present one, or always.',
  ),
  MQTT_TLS_TICKET_KEY: secret(
    'Secret of the TLS session tickets, at least 32 characters, the same on every node; random at each start when unset.',
  ),
  MQTT_PROXY_PROTOCOL: oneOf(
    'off',
    ['off', 'on'],
    'Whether connections begin with a PROXY protocol header, version 1 or 2.',
  ),
  MQTT_PROXY_FROM: list(
    'Addresses or networks of the proxies, separated by commas; PROXY headers from others are refused. Without them: of proxies before MQTT_WS_PORT, whose X-Forwarded-For is believed.',
    isNetwork,
    'an address or network',
  ),
  MQTT_REUSE_PORT: oneOf(
    'off',
    ['off', 'on'],
    'Whether several brokers on one machine share the same ports (SO_REUSEPORT).',
  ),
  // An idle connection takes about 40 KB, with TLS about 70: a node of 4 GB holds so many.
  MAX_CONNECTIONS: integer(50_000, 'Maximum open connections per node; further ones are closed at once.', {
    min: 1,
    max: 1_000_000,
  }),
  // A large site behind one address is smaller; one address alone cannot take the node from the others.
  MAX_CONNECTIONS_PER_ADDRESS: integer(
    1_000,
    'Maximum open connections per client address (IPv6: per /64); loopback and proxies have no limit. 0 = off.',
    { min: 0, max: 1_000_000 },
  ),
  // A TLS handshake takes about a millisecond of one core: half a core at most goes into newcomers.
  MAX_HANDSHAKES_PER_SECOND: integer(
    500,
    'New connections per second and node; further ones wait, at most 10 s. Loopback and proxies have no limit. 0 = off.',
    { min: 0, max: 100_000 },
  ),
} as const

export type ListenerSettings = Config<typeof listenerSettings>

/** How long a stopping broker takes to send its clients away; `fallback` in seconds. */
export function drainSeconds(fallback: number): Setting<number> {
  return integer(
    fallback,
    'Seconds over which a stopping broker closes its connections, so that the clients do not all reconnect at once.',
    { min: 0, max: 5 },
  )
}

export function optionalPort(about: string): Setting<number | undefined> {
  const { parse } = port(0, about)
  return { default: undefined, about, parse: (text) => (text === 'off' ? undefined : parse(text)) }
}

/** A list of entries, separated by commas. */
export function list(about: string, isValid: (entry: string) => boolean, what: string): Setting<readonly string[]> {
  return {
    default: [],
    about,
    parse(value) {
      const entries = value.split(',').map((entry) => entry.trim())
      const wrong = entries.find((entry) => !isValid(entry))
      if (wrong !== undefined) throw new Error(`"${wrong}" is not ${what}`)
      return entries
    },
  }
}

/** An address, or a network such as 10.0.0.0/8. */
export function isNetwork(entry: string): boolean {
  const [address = '', prefix, ...rest] = entry.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128))
}
