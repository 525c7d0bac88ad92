import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { SluiceError } from '../errors.ts'
import { loadOrMakeSecretFile } from '../storage/secret-file.ts'

/** How tokens of devices and applications begin, so that one in a log or a repository is recognised. */
export const TOKEN_PREFIX = 'slt_'
/** How provisioning keys begin. */
export const CLAIM_KEY_PREFIX = 'slc_'
/** How API keys begin. */
export const API_KEY_PREFIX = 'slk_'

/** Longest secret, token or API key that is looked at; ours have 36 characters at most. */
export const MAX_CREDENTIAL_LENGTH = 256

const KEY_BYTES = 32
/** 144 bits as 24 characters: machine-made, so a keyed hash is enough and no slow one is needed. */
const SECRET_BYTES = 18
/** 192 bits as 32 characters: a token is looked up among all. */
const TOKEN_BYTES = 24
const ID_BYTES = 9

/** The keyed hashes under which secrets are kept: HMAC-SHA-256, base64url, each kind in a domain of its own. */
export interface CredentialHashes {
  /** Names the key without telling anything about it: kept with each hash, and the fingerprint of a registry. */
  readonly keyId: string
  /** Bound to the username: the hash of one login is none of another's. */
  secret(username: string, secret: string): string
  token(token: string): string
  apiKey(key: string): string
  claimKey(key: string): string
}

/** `key` has 32 bytes. */
export function credentialHashes(key: Buffer): CredentialHashes {
  if (key.byteLength !== KEY_BYTES) {
    throw new SluiceError('setting_invalid', `the credential key has ${key.byteLength} bytes, not ${KEY_BYTES}`)
  }
  // The domains end in a line feed and usernames have none, so no two inputs are the same text.
  const hash = (text: string): string => createHmac('sha256', key).update(text).digest('base64url')
  return {
    keyId: hash('key-id\n').slice(0, 16),
    secret: (username, secret) => hash(`secret\n${username}\n${secret}`),
    token: (token) => hash(`token\n${token}`),
    apiKey: (apiKey) => hash(`api-key\n${apiKey}`),
    claimKey: (claimKey) => hash(`claim-key\n${claimKey}`),
  }
}

/** A new secret. Letters, digits, `_` and `-`, not `-` first: safe in URLs, shells and as an argument. */
export function newSecret(): string {
  for (;;) {
    const secret = randomBytes(SECRET_BYTES).toString('base64url')
    if (!secret.startsWith('-')) return secret
  }
}

export function newToken(): string {
  return TOKEN_PREFIX + randomBytes(TOKEN_BYTES).toString('base64url')
}

export function newApiKey(): string {
  return API_KEY_PREFIX + randomBytes(TOKEN_BYTES).toString('base64url')
}

export function newClaimKey(): string {
  return CLAIM_KEY_PREFIX + randomBytes(TOKEN_BYTES).toString('base64url')
}

/** Names a credential or a key without telling anything about it; not `-` first, safe as an argument. */
export function newCredentialId(): string {
  return `c${randomBytes(ID_BYTES).toString('base64url')}`
}

/** True for what {@link newApiKey} makes, or a longer one of that form: nothing that could be guessed. */
export function isApiKey(text: string): boolean {
  return new RegExp(`^${API_KEY_PREFIX}[A-Za-z0-9_-]{32,${MAX_CREDENTIAL_LENGTH - API_KEY_PREFIX.length}}$`).test(text)
}

/** Compares two hashes in constant time. */
export function isSameHash(a: string, b: string): boolean {
  const left = Buffer.from(a)
  const right = Buffer.from(b)
  return left.byteLength === right.byteLength && timingSafeEqual(left, right)
}

/** The key in its text form, base64url or base64 of 32 bytes. Error: `setting_invalid` naming `source`. */
export function parseCredentialKey(text: string, source: string): Buffer {
  const trimmed = text.trim()
  const key = Buffer.from(trimmed, 'base64url')
  if (/^[A-Za-z0-9_+/-]{43}=?$/.test(trimmed) && key.byteLength === KEY_BYTES) return key
  throw new SluiceError('setting_invalid', `${source} does not contain a credential key (32 bytes as base64url)`)
}

/**
 * The key in the file, which is made when it does not exist (see `loadOrMakeSecretFile`). Errors: `setting_invalid` when
 * the file holds something else (it is never replaced: with another key no login would work), `data_unwritable`.
 */
export function loadCredentialKey(path: string): Buffer {
  return parseCredentialKey(
    loadOrMakeSecretFile(path, () => randomBytes(KEY_BYTES).toString('base64url')),
    path,
  )
}

/**
 * The API key in the file, which is made when it does not exist. Errors: `setting_invalid` when the file holds something
 * else, `data_unwritable`.
 */
export function loadApiKey(path: string): string {
  const key = loadOrMakeSecretFile(path, newApiKey)
  if (!isApiKey(key))
    throw new SluiceError('setting_invalid', `${path} does not contain an API key; remove it to have one created`)
  return key
}
