/** A device as its tenant knows it. */
export interface DeviceName {
  readonly tenant: string
  readonly device: string
}

/** What a new login is told, once: the registry keeps only keyed hashes. */
export interface NewCredentials {
  readonly username: string
  readonly secret: string
  /** Goes into the username with no password. */
  readonly token: string
}
