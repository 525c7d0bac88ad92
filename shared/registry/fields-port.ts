/** Which fields a stream has had: of each name a mark of eight characters, which is enough to know it again. */
export interface StreamFields {
  readonly tenant: string
  /** Its uid. */
  readonly device: string
  readonly stream: string
  readonly marks: readonly string[]
}

/** What streams and fields devices have made, by which a worker knows a new one. Errors as of `Registry`. */
export interface DeviceFields {
  /** Of all streams of these devices. */
  of(devices: readonly { readonly tenant: string; readonly device: string }[]): Promise<readonly StreamFields[]>
  /** Puts these in the place of what is known of the same streams, all or none. */
  write(rows: readonly StreamFields[]): Promise<void>
  /** Fields of all devices of a tenant. */
  countOf(tenant: string): Promise<number>
}
