import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto'
import Type, { type Static } from 'typebox'
import Value from 'typebox/value'
import { SluiceError, toSluiceError } from '../errors.ts'

/** Recipients of one file: people who may restore it, and whoever reads it back. */
export const MAX_RECIPIENTS = 16

const CIPHER = 'aes-256-gcm'
const KEY_BYTES = 32
const TAG_BYTES = 16
/** A key that wraps is used once: for one recipient of one file. */
const NONCE = Buffer.alloc(12)

const Key = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' })

/** How a file can be opened: by anybody, or with the private key of a recipient, each of whom has the key of the file. */
const Header = Type.Union([
  Type.Object({ envelope: Type.Literal('plain') }),
  Type.Object({
    envelope: Type.Literal('x25519'),
    ephemeral: Key,
    keys: Type.Array(Type.Object({ to: Key, key: Type.String({ pattern: '^[A-Za-z0-9_-]{64}$' }) }), {
      minItems: 1,
      maxItems: MAX_RECIPIENTS,
    }),
  }),
])

export type EnvelopeHeader = Static<typeof Header>

/** For whom a file is; nobody in particular: it is plain. */
export type Recipients = readonly KeyObject[]

/** A key for a new file, and what says who may have it. Error: `bad_request` for a public key that is none. */
export function newEnvelope(recipients: Recipients): { header: EnvelopeHeader; key: Buffer | undefined } {
  if (recipients.length === 0) return { header: { envelope: 'plain' }, key: undefined }
  if (recipients.length > MAX_RECIPIENTS) {
    throw new SluiceError('bad_request', `a backup has at most ${MAX_RECIPIENTS} recipients`)
  }
  const key = randomBytes(KEY_BYTES)
  const { publicKey, privateKey } = generateKeyPairSync('x25519')
  const ephemeral = publicText(publicKey)
  const keys = recipients.map((recipient) => {
    const to = publicText(recipient)
    const cipher = createCipheriv(CIPHER, wrapping(privateKey, recipient, { ephemeral, to }), NONCE)
    const wrapped = Buffer.concat([cipher.update(key), cipher.final(), cipher.getAuthTag()])
    return { to, key: wrapped.toString('base64url') }
  })
  return { header: { envelope: 'x25519', ephemeral, keys }, key }
}

/** The key of a file; undefined for a plain one. Error: `backup_unreadable`. */
export function keyOf(header: EnvelopeHeader, identity: KeyObject | undefined): Buffer | undefined {
  if (header.envelope === 'plain') return undefined
  const { ephemeral, keys } = header
  if (identity === undefined) {
    throw new SluiceError('backup_unreadable', 'the backup is encrypted, and no private key was given (--key)')
  }
  const own = publicText(createPublicKey(identity))
  const wrapped = keys.find(({ to }) => to === own)
  if (wrapped === undefined) {
    throw new SluiceError('backup_unreadable', 'the backup is not encrypted to this key but to another one')
  }
  const bytes = Buffer.from(wrapped.key, 'base64url')
  try {
    const kek = wrapping(identity, recipientOf(ephemeral), { ephemeral, to: own })
    const decipher = createDecipheriv(CIPHER, kek, NONCE, { authTagLength: TAG_BYTES })
    decipher.setAuthTag(bytes.subarray(KEY_BYTES))
    return Buffer.concat([decipher.update(bytes.subarray(0, KEY_BYTES)), decipher.final()])
  } catch (error) {
    throw new SluiceError('backup_unreadable', 'the key in the backup is damaged', { cause: error })
  }
}

/** Of what {@link newEnvelope} made, in UTF-8. Error: `backup_unreadable`. */
export function parseHeader(bytes: Uint8Array): EnvelopeHeader {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    if (Value.Check(Header, value)) return value
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw new SluiceError('backup_unreadable', 'the header of the backup is damaged')
}

/** A recipient by the text of {@link publicText}. Error: `bad_request`. */
export function recipientOf(text: string): KeyObject {
  try {
    return createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: text }, format: 'jwk' })
  } catch (error) {
    throw new SluiceError('bad_request', 'a recipient is no X25519 public key', { cause: error })
  }
}

/** The 32 bytes of an X25519 public key, base64url. */
export function publicText(key: KeyObject): string {
  const { x } = key.export({ format: 'jwk' })
  if (x === undefined) throw new SluiceError('bad_request', 'the key is no X25519 public key')
  return x
}

/** From PEM: of a public key, or of a private one, whose public half is meant. Error: `bad_request`. */
export function readPublicKey(pem: string, what: string): KeyObject {
  return checked(() => createPublicKey(pem), `${what} holds no X25519 public key in PEM`)
}

/** From PEM, as `openssl genpkey -algorithm x25519` makes it. Error: `bad_request`. */
export function readPrivateKey(pem: string, what: string): KeyObject {
  return checked(() => createPrivateKey(pem), `${what} holds no X25519 private key in PEM`)
}

/** A new pair of keys. */
export function newKeys(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync('x25519')
}

function checked(read: () => KeyObject, otherwise: string): KeyObject {
  try {
    const key = read()
    if (key.asymmetricKeyType === 'x25519') return key
  } catch (error) {
    throw new SluiceError('bad_request', `${otherwise}: ${toSluiceError(error).message}`, { cause: error })
  }
  throw new SluiceError('bad_request', otherwise)
}

function wrapping(own: KeyObject, other: KeyObject, { ephemeral, to }: { ephemeral: string; to: string }): Buffer {
  const secret = agreed(own, other)
  const salt = Buffer.concat([Buffer.from(ephemeral, 'base64url'), Buffer.from(to, 'base64url')])
  return Buffer.from(hkdfSync('sha256', secret, salt, 'sluice backup 1 key', KEY_BYTES))
}

/** OpenSSL refuses public keys of which every secret would be zero. */
function agreed(privateKey: KeyObject, publicKey: KeyObject): Buffer {
  try {
    return diffieHellman({ privateKey, publicKey })
  } catch (error) {
    throw new SluiceError('bad_request', 'a recipient is no usable X25519 public key', { cause: error })
  }
}
