import { createHash, createPrivateKey, hkdfSync, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import type { ListenerSettings } from '../../../config/listeners.ts'
import { SluiceError } from '../../../shared/errors.ts'

export type TlsSettings = Pick<
  ListenerSettings,
  'MQTT_TLS_CERT_FILE' | 'MQTT_TLS_KEY_FILE' | 'MQTT_TLS_CA_FILE' | 'MQTT_TLS_CRL_FILE' | 'MQTT_TLS_CLIENT_AUTH'
>

/** What the files of the settings hold, checked. */
export interface TlsMaterial {
  readonly options: SecureContextOptions & { readonly sessionIdContext: string }
  /** Changes with any byte of any file. */
  readonly digest: string
  /** When each of them ends to be valid, in ms since 1970. */
  readonly expiry: ReadonlyMap<'server' | 'client_ca' | 'crl', number>
  /** Serial numbers that the revocation list names, upper-case hexadecimal without leading zeros. */
  readonly revoked: ReadonlySet<string>
}

/** Forward secrecy and authenticated encryption only; 1.3 is taken when the client can. */
const PROTOCOL = {
  minVersion: 'TLSv1.2',
  ciphers: [
    ...['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'],
    ...['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
    ...['ECDHE-RSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES256-GCM-SHA384', 'ECDHE-RSA-CHACHA20-POLY1305'],
  ].join(':'),
} as const satisfies SecureContextOptions

/** How long a session may be resumed without a full handshake: a device that is off for a night comes back cheaply. */
export const TICKET_SECONDS = 86_400

/** Reads and checks all files. Error: `setting_invalid`, naming the variable and the file. */
export async function loadTlsMaterial(settings: TlsSettings, nowMs = Date.now()): Promise<TlsMaterial> {
  const { MQTT_TLS_CLIENT_AUTH: clientAuth } = settings
  const cert = required(settings, 'MQTT_TLS_CERT_FILE')
  const key = required(settings, 'MQTT_TLS_KEY_FILE')
  const ca = clientAuth === 'none' ? undefined : required(settings, 'MQTT_TLS_CA_FILE')
  const crl = clientAuth === 'none' ? undefined : optional(settings, 'MQTT_TLS_CRL_FILE')
  const expiry = new Map<'server' | 'client_ca' | 'crl', number>()
  checkPair(settings, cert, key, nowMs, expiry)
  if (ca !== undefined)
    expiry.set('client_ca', earliestEnd(parsed(settings, 'MQTT_TLS_CA_FILE', () => certificatesOf(ca))))
  const list = crl === undefined ? undefined : await readRevocations(settings, crl, nowMs)
  if (list?.endMs !== undefined) expiry.set('crl', list.endMs)
  const base = { ...PROTOCOL, cert, key, ...(ca === undefined ? {} : { ca }), ...(crl === undefined ? {} : { crl }) }
  // A session is resumed without asking again whether its client certificate is good: with another authority or
  // revocation list, sessions of before are not resumed at all.
  const sessionIdContext = digestOf(clientAuth, ca, crl).slice(0, 32)
  const options = { ...base, sessionIdContext, sessionTimeout: TICKET_SECONDS }
  parsed(settings, 'MQTT_TLS_CERT_FILE', () => createSecureContext(options))
  return { options, digest: digestOf(clientAuth, cert, key, ca, crl), expiry, revoked: list?.serials ?? new Set() }
}

/**
 * The 48 bytes under which session tickets are sealed in a period of {@link TICKET_SECONDS}: nodes that share the secret
 * resume each other's sessions, and no key is used for long. Tickets of the period before mean a full handshake.
 */
export function ticketKeys(secret: Uint8Array, nowMs: number): Buffer {
  const period = Math.floor(nowMs / (TICKET_SECONDS * 1000))
  return Buffer.from(hkdfSync('sha256', secret, '', `sluice tls session tickets ${period}`, 48))
}

type FileSetting = 'MQTT_TLS_CERT_FILE' | 'MQTT_TLS_KEY_FILE' | 'MQTT_TLS_CA_FILE' | 'MQTT_TLS_CRL_FILE'

function required(settings: TlsSettings, name: FileSetting): string {
  const text = optional(settings, name)
  if (text === undefined) throw new SluiceError('setting_invalid', `${name}: is not set`)
  return text
}

function optional(settings: TlsSettings, name: FileSetting): string | undefined {
  const file = settings[name]
  return file === undefined ? undefined : parsed(settings, name, () => readFileSync(file, 'utf8'))
}

function parsed<T>(settings: TlsSettings, name: FileSetting, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw invalid(settings, name, error instanceof Error ? error.message : String(error), error)
  }
}

function invalid(settings: TlsSettings, name: FileSetting, reason: string, cause?: unknown): SluiceError {
  return new SluiceError('setting_invalid', `${name}: ${settings[name] ?? ''}: ${reason}`, { cause })
}

function checkPair(settings: TlsSettings, cert: string, key: string, nowMs: number, expiry: Map<string, number>): void {
  const leaf = parsed(settings, 'MQTT_TLS_CERT_FILE', () => new X509Certificate(cert))
  const privateKey = parsed(settings, 'MQTT_TLS_KEY_FILE', () => createPrivateKey(key))
  if (!leaf.checkPrivateKey(privateKey))
    throw invalid(settings, 'MQTT_TLS_KEY_FILE', `does not match ${settings.MQTT_TLS_CERT_FILE}`)
  const endMs = leaf.validToDate.getTime()
  if (endMs <= nowMs) throw invalid(settings, 'MQTT_TLS_CERT_FILE', `expired on ${leaf.validToDate.toISOString()}`)
  expiry.set('server', endMs)
}

function certificatesOf(bundle: string): X509Certificate[] {
  const blocks = bundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0) throw new Error('contains no certificate')
  return blocks.map((block) => new X509Certificate(block))
}

function earliestEnd(certificates: readonly X509Certificate[]): number {
  return Math.min(...certificates.map(({ validToDate }) => validToDate.getTime()))
}

async function readRevocations(
  settings: TlsSettings,
  crl: string,
  nowMs: number,
): Promise<{ serials: ReadonlySet<string>; endMs: number | undefined }> {
  // Loaded only where it is needed: OpenSSL checks with the list, but does not tell what is in it.
  await import('reflect-metadata')
  const { X509Crl } = await import('@peculiar/x509')
  const list = parsed(settings, 'MQTT_TLS_CRL_FILE', () => new X509Crl(crl))
  const endMs = list.nextUpdate?.getTime()
  if (endMs !== undefined && endMs <= nowMs) {
    throw invalid(settings, 'MQTT_TLS_CRL_FILE', `expired on ${new Date(endMs).toISOString()}; no client could log in`)
  }
  return { serials: new Set(list.entries.map(({ serialNumber }) => normalSerial(serialNumber))), endMs }
}

/** A serial number as everybody writes it differently: upper-case hexadecimal without leading zeros. */
export function normalSerial(serial: string): string {
  return serial.toUpperCase().replace(/^0+(?=.)/, '')
}

function digestOf(...texts: (string | undefined)[]): string {
  const hash = createHash('sha256')
  for (const text of texts) hash.update(`${text?.length ?? -1}:${text ?? ''}`)
  return hash.digest('hex')
}
