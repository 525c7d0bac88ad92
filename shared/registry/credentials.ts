import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { SluiceError, toSluiceError } from '../errors.ts'

/** How tokens of devices and applications begin, so that one in a log or a repository is recognised. */
export const TOKEN_PREFIX = 'slt_'
/** How API keys begin. */
export const API_KEY_PREFIX = 'slk_'

const KEY_BYTES = 32
/** 144 bits as 24 characters: machine-made, so a keyed hash is enough and no slow one is needed. */
const SECRET_BYTES = 18
/** 192 bits as 32 characters: a token is looked up among all. */
const TOKEN_BYTES = 24

/** The keyed hashes under which secrets are kept: HMAC-SHA-256, base64url, each kind in a domain of its own. */
export interface CredentialHashes {
  /** Names the key without telling anything about it: kept with each hash, and the fingerprint of a registry. */
  readonly keyId: string
  /** Bound to the username: the hash of one login is none of another's. */
  secret(username: string, secret: string): string
  token(token: string): string
  apiKey(key: string): string
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
  throw new SluiceError('setting_invalid', `${source} holds no credential key (32 bytes in base64url)`)
}

/**
 * The key in the file, which is made with mode 0600 when it does not exist: complete and durable or not at all, and of
 * two processes that start at once both get the same. Errors: `setting_invalid` when the file holds something else (it
 * is never replaced: with another key no login would work), `data_unwritable`.
 */
export function loadCredentialKey(path: string): Buffer {
  try {
    return readKey(path) ?? makeKey(path)
  } catch (error) {
    if (error instanceof SluiceError) throw error
    throw new SluiceError('data_unwritable', `${path}: ${toSluiceError(error).message}`, { cause: error })
  }
}

function readKey(path: string): Buffer | undefined {
  try {
    const key = parseCredentialKey(readFileSync(path, 'utf8'), path)
    if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600)
    return key
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined
    throw error
  }
}

function makeKey(path: string): Buffer {
  const folder = dirname(path)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  try {
    writeFileSync(draft, `${randomBytes(KEY_BYTES).toString('base64url')}\n`, { mode: 0o600, flag: 'wx', flush: true })
    linkSync(draft, path)
  } catch (error) {
    // Somebody else was faster: theirs is the key.
    if (!isSystemError(error, 'EEXIST')) throw error
  } finally {
    rmSync(draft, { force: true })
  }
  syncFolder(folder)
  return parseCredentialKey(readFileSync(path, 'utf8'), path)
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

function isSystemError(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
