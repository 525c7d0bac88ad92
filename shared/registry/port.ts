import type { FieldType, Instant, PointValue, Series } from '../telemetry.ts'
import type { AuditRecord, ClaimKeys, Credentials } from './identity-port.ts'
import type { DeclaredTypes } from './types-port.ts'
import type { Decoders } from './decoders-port.ts'
import type { Facts } from './facts-port.ts'
import type { DeviceFields } from './fields-port.ts'
import type { Jobs } from './jobs-port.ts'
import type { LetterNotes } from './letters-port.ts'
import type { DeviceNames } from './names-port.ts'
import type { DeviceName, NewCredentials } from './names.ts'
import type { Policies } from './policies-port.ts'
import type { Presence } from './presence-port.ts'
import type { StampSlots } from './stamp-slots-port.ts'
import type { Tombstones } from './tombstones-port.ts'
import type { Watches } from './watches-port.ts'

export type RuleEffect = 'allow' | 'deny'
export type RuleAction = 'publish' | 'subscribe'

/** One ACL rule; `topic` is an MQTT topic filter. */
export interface AclRule {
  readonly effect: RuleEffect
  readonly action: RuleAction
  readonly topic: string
}

/** Who a login is. `name` is `{tenant}/{device}` for a device and the application's name otherwise (it has no slash). */
export type Principal =
  | {
      readonly kind: 'device'
      readonly name: string
      readonly tenant: string
      readonly device: string
      /** See `Device.uid`. */
      readonly uid: string
    }
  | { readonly kind: 'application'; readonly name: string; readonly rules: readonly AclRule[] }

export interface Device {
  readonly tenant: string
  readonly device: string
  /**
   * What everything of the device is stored under, of the form of a name: its first name where nothing was stored under
   * that before, else a random one. It never changes and is never given to another device.
   */
  readonly uid: string
  readonly tags: Readonly<Record<string, string>>
  readonly createdMs: number
  /** Receive time of the newest record, whole milliseconds; undefined before the first. */
  readonly lastSeenMs: number | undefined
  readonly login: LoginState
}

/** Which devices are asked for. */
export interface DeviceFilter {
  readonly tenant?: string | undefined
  /** A part of `{tenant}/{device}`, of the letters A to Z in either case. */
  readonly search?: string | undefined
}

export interface DeviceToMake extends DeviceName {
  readonly tags?: Readonly<Record<string, string>> | undefined
  /** Something is stored under the name that the registry need not know of: the device gets another uid. */
  readonly isUsed?: boolean | undefined
  /** Takes on what is stored of a device that was removed, by its uid or last name; `isUsed`: as above, of that. */
  readonly adopt?: { readonly history: string; readonly isUsed: boolean } | undefined
}

/** Whether a login may be used. */
export interface LoginState {
  readonly disabled: boolean
  /** When it was last revoked or disabled: connections from before are to be closed. Undefined for never. */
  readonly endedMs: number | undefined
}

/** What becomes of a device that an application publishes for: the last three are refusals. */
export type Admission = 'known' | 'made' | 'unknown' | 'removed' | 'too_many'

/** Whether an application makes the devices that it publishes for; undefined: as it was, which is not at first. */
export interface MakesDevices {
  readonly createsDevices?: boolean | undefined
}

export interface Application {
  readonly name: string
  readonly rules: readonly AclRule[]
  /** Devices that it publishes for and that do not exist are made. */
  readonly createsDevices: boolean
  readonly createdMs: number
  readonly login: LoginState
}

/** Newest value of one field, of whatever kind; `time` is the reading's own. */
export interface FieldState extends FieldValue {
  /** Where the newest value is no number: the newest that is one, if there is any. */
  readonly lastNumber?: FieldValue
}

export interface FieldValue {
  readonly time: Instant
  readonly value: PointValue
  readonly type: FieldType
}

/** Latest state of one stream of one device. A row is replaced only by one of a later log position. */
export interface StreamState {
  readonly tenant: string
  /** Its uid, as in everything that is stored of it. */
  readonly device: string
  readonly stream: string
  readonly fields: Readonly<Record<string, FieldState>>
  readonly lastSeenMs: number
  /** Where the newest record that went in lies: in which log, see `LogBatch.log`, and where in it. */
  readonly log: string
  readonly partition: number
  readonly offset: number
  /** What the worker that owns the stream keeps of values of the same time; a text of its own. */
  readonly kept?: string | undefined
  /** What is known of the clock of the device, see `DeviceClock`. */
  readonly clock?: string | undefined
  /** Where the stream first carried JSON; a text of the worker's own. */
  readonly firstJson?: string | undefined
}

export type FieldDeclaration = Pick<Series, 'tenant' | 'stream' | 'field' | 'type'>

export interface AuditEntry {
  readonly who: string
  readonly action: string
  readonly subject: string
  readonly detail?: string
}

export interface Page<T> {
  readonly items: readonly T[]
  readonly next: string | undefined
}

/** What {@link Registry.onChange} calls. */
export type ChangeListener = (name: string, ended: boolean) => void

/**
 * Errors: `already_exists`, `not_found`, `name_invalid`, `bad_request` and `filter_invalid` (tags, rules, limits),
 * `cursor_invalid`, `registry_unavailable`, `disk_full`, `closed`.
 */
export interface Registry {
  /**
   * Makes devices (and tenants on first use) with credentials, all or none: the first existing name is `already_exists`.
   * See `Device.uid`. A history to adopt that is none is `not_found`, one that is another's `already_exists`.
   */
  createDevices(devices: readonly DeviceToMake[]): Promise<readonly NewCredentials[]>
  getDevice(tenant: string, device: string): Promise<Device | undefined>
  /** By tenant and device in code unit order. `limit` 1 to 1,000. */
  listDevices(query: DeviceFilter & { cursor?: string; limit: number }): Promise<Page<Device>>
  /** Those that were seen last, newest first, and behind them those that never were. `limit` 1 to 1,000. */
  recentDevices(query: DeviceFilter & { limit: number }): Promise<readonly Device[]>
  /** Removes the device, its credentials and its latest state; its points stay, under its uid. `not_found` when there is none. */
  removeDevice(tenant: string, device: string): Promise<void>
  /** The same for many at once; those that exist are removed, and are the answer. */
  removeDevices(devices: readonly DeviceName[]): Promise<readonly DeviceName[]>
  /**
   * Calls it otherwise; everything that is stored of it stays with it, and its credentials are good as they are, with their
   * usernames. Its sessions end. It may go on publishing under a former name until another device has that.
   */
  renameDevice(name: DeviceName, to: string): Promise<void>
  /**
   * An application publishes for a device that this process does not know. Makes it where the application may
   * (`createsDevices`), at most 100 an hour and none that was removed. Known to this process when it resolves, unless
   * refused.
   */
  admitDevice(application: string, device: DeviceName): Promise<Admission>
  /** Those that exist, in the order asked. */
  existingDevices(devices: readonly DeviceName[]): Promise<readonly DeviceName[]>

  createApplication(name: string, rules: readonly AclRule[], made?: MakesDevices): Promise<NewCredentials>
  getApplication(name: string): Promise<Application | undefined>
  listApplications(): Promise<readonly Application[]>
  /**
   * Puts these rules in the place of an application's; its live connections get them as `onChange` says. What is not said of
   * the devices it may make stays.
   */
  setRules(name: string, rules: readonly AclRule[], made?: MakesDevices): Promise<void>
  removeApplication(name: string): Promise<void>

  /** Whose username and secret these are, compared in constant time; undefined for no one's. */
  verifySecret(username: string, secret: string): Promise<Principal | undefined>
  /** Whose token this is; undefined for no one's. */
  verifyToken(token: string): Promise<Principal | undefined>
  /** A login by name without credentials, for `MQTT_ANONYMOUS_AS`. */
  applicationPrincipal(name: string): Promise<Principal | undefined>
  /** The device or application of a name that something else vouches for, such as a certificate; undefined for none. */
  principalNamed(name: string): Promise<Principal | undefined>
  readonly credentials: Credentials
  readonly claimKeys: ClaimKeys
  readonly presence: Presence
  readonly stampSlots: StampSlots
  readonly jobs: Jobs
  readonly letterNotes: LetterNotes
  readonly tombstones: Tombstones
  readonly names: DeviceNames
  readonly fields: DeviceFields
  readonly facts: Facts
  readonly policies: Policies
  readonly declaredTypes: DeclaredTypes
  readonly decoders: Decoders
  readonly watches: Watches
  /**
   * Called after devices, applications, rules or credentials of `name` came, changed or went: at once for what this
   * process changed, within about a second of what others did, or of the database's return. `ended`: the login was
   * removed, revoked or disabled since, so its connections and what is kept for it are to go. Returns the unsubscribe.
   */
  onChange(listener: ChangeListener): () => void

  /**
   * Makes this the API key of the administrator, in place of the one before. True when there was none before. Error:
   * `setting_invalid` for one that `newApiKey` could not have made.
   */
  setAdminKey(key: string): Promise<boolean>
  /** Name of the API key, or undefined when it is not one. */
  verifyApiKey(key: string): Promise<string | undefined>

  /**
   * Insert-if-absent, then read back, in the order asked: which type has the field's own name among the points. The first to
   * pin a field decides. Integer: its numbers were pinned to be integers, before `declaredTypes` were said.
   */
  pinFieldTypes(fields: readonly FieldDeclaration[]): Promise<readonly FieldType[]>

  /** Latest state of all streams of the device with this uid, as last flushed. */
  readState(tenant: string, uid: string): Promise<readonly StreamState[]>
  /** Latest state of given streams, in the order asked; undefined where there is none. */
  readStreams(
    streams: readonly { tenant: string; device: string; stream: string }[],
  ): Promise<readonly (StreamState | undefined)[]>
  /**
   * Replaces rows that have an earlier position in the same partition of the same log; others do not
   * compare, and the row written last stands. All or none, durable when it resolves.
   */
  writeState(rows: readonly StreamState[]): Promise<void>

  /** Notes who did what, all or none. */
  audit(...entries: readonly AuditEntry[]): Promise<void>
  /** The newest first; `before` is the id where the page before ended. `limit` 1 to 1,000. */
  listAudit(query: { before?: number; limit: number }): Promise<readonly AuditRecord[]>

  close(): Promise<void>
}
