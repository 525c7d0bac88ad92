/**
 * What devices are called and what they are stored under, where that is not the same: answered at once, from memory. In a
 * cluster a change of another process is known within about a second.
 */
export interface DeviceNames {
  /** Grows whenever an answer may have changed. */
  readonly epoch: number
  /** The uid of the device that has this name; the name itself where there is none. */
  uidOf(tenant: string, device: string): string
  /** The name of the device with this uid; the uid itself where there is none. */
  nameOf(tenant: string, uid: string): string
  /** Whether there is a device with this name, or one that had it and whose former name nobody else has. */
  isKnown(tenant: string, device: string): boolean
}

/** Of a registry whose devices are all stored under their names, and that has every one. */
export const SAME_NAMES: DeviceNames = {
  epoch: 0,
  uidOf: (_tenant, device) => device,
  nameOf: (_tenant, uid) => uid,
  isKnown: () => true,
}
