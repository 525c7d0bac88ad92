import type { NewCredentials } from './names.ts'

/** One credential of a login: a secret and a token made together, or a password that was imported. Never a secret. */
export interface CredentialInfo {
  readonly id: string
  /** Goes with the secret; not always the name of the device or application. */
  readonly username: string
  readonly kind: 'issued' | 'imported'
  readonly createdMs: number
  /** Whole milliseconds, up to an hour behind; undefined before the first use. */
  readonly lastUsedMs: number | undefined
  /** When it ends; undefined for no end. One that was rotated ends earlier when its successor is first used. */
  readonly expiresMs: number | undefined
}

/** A password hash of another broker that verifies as it is: Mosquitto's `$7$` of 2.0 and `$argon2id$` of 2.1. */
export type ImportedPassword =
  /** PBKDF2 with SHA-512. */
  | { readonly kind: 'mosquitto-7'; readonly salt: Uint8Array; readonly hash: Uint8Array; readonly iterations: number }
  /** RFC 9106, version 19: `iterations` passes over `memoryKib` of memory in `lanes`. */
  | {
      readonly kind: 'argon2id'
      readonly salt: Uint8Array
      readonly hash: Uint8Array
      readonly iterations: number
      readonly memoryKib: number
      readonly lanes: number
    }

/** What devices and applications log in with, by the name of the login. Errors as of `Registry`. */
export interface Credentials {
  /** Those in force, the oldest first. `not_found` for a name that is none. */
  list(name: string): Promise<readonly CredentialInfo[]>
  /**
   * Makes a credential beside the one in use, which ends when the new one is first used, or after `overlapMs` (whole
   * milliseconds; 0: now). One that an earlier rotation made and nobody used goes. Connections stay open.
   */
  rotate(name: string, overlapMs: number): Promise<NewCredentials & { readonly oldEndsMs: number }>
  /** Ends all credentials and disables the login: its connections close, its session and retained messages go. */
  revoke(name: string): Promise<void>
  /** Refuses all logins of the name, certificates included, and closes its connections; or accepts them again. */
  setDisabled(name: string, disabled: boolean): Promise<void>
  /**
   * Lets `username` log in as `name` with a password that another broker knew; the first login puts our own hash in its
   * place. `already_exists` when the username is another login's; `bad_request` for a hash beyond the bounds.
   */
  importPassword(name: string, username: string, password: ImportedPassword): Promise<void>
}

/** A key with which devices make themselves known: each presents it once and gets credentials of its own. */
export interface ClaimKey {
  readonly id: string
  /** Devices are made in this tenant, with these tags. */
  readonly tenant: string
  readonly tags: Readonly<Record<string, string>>
  readonly maxUses: number
  readonly uses: number
  readonly createdMs: number
  readonly expiresMs: number | undefined
}

export interface ClaimKeys {
  /** `key` is shown only here: the registry keeps its keyed hash. */
  create(options: {
    tenant: string
    maxUses: number
    expiresMs: number | undefined
    tags?: Readonly<Record<string, string>>
  }): Promise<ClaimKey & { readonly key: string }>
  /** The newest first. */
  list(): Promise<readonly ClaimKey[]>
  /** Devices that claimed with it stay. Error: `not_found`. */
  revoke(id: string): Promise<void>
  /**
   * Makes `device` in the key's tenant and counts one use. The same key may claim the same device again until its
   * credentials are first used: the answer may have been lost. Errors: `claim_refused` (no such key, ended or used up),
   * `already_exists`, `name_invalid`. `isUsed` is asked about a device that is made, see `DeviceToMake`.
   */
  claim(
    key: string,
    device: string,
    isUsed?: (tenant: string) => Promise<boolean>,
  ): Promise<NewCredentials & { readonly tenant: string; readonly device: string; readonly keyId: string }>
}

/** An entry of the audit log as it was written. */
export interface AuditRecord {
  readonly id: number
  readonly atMs: number
  readonly who: string
  readonly action: string
  readonly subject: string
  readonly detail: string | undefined
}
