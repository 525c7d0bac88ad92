import type { Generated } from 'kysely'
import type { FieldType } from '../../telemetry.ts'
import type { DecoderKind } from '../decoders-port.ts'
import type { NumberType } from '../../types/meaning.ts'
import type { JobState } from '../jobs-port.ts'
import type { LetterState } from '../letters-port.ts'
import type { RuleAction, RuleEffect } from '../port.ts'

/**
 * The tables of the registry, as kysely sees them; `migrations/` makes them. Times are whole milliseconds since 1970.
 * Identifiers compare byte by byte: names that differ in case, accents or trailing spaces are different names.
 */
export interface RegistrySchema {
  /** Facts about this registry itself, such as the fingerprint of the credential key. */
  registry_facts: { name: string; value: string }
  tenants: { tenant: string; created_ms: number }
  devices: {
    tenant: string
    device: string
    /** JSON object of strings. */
    tags: string
    created_ms: number
    /** In `device_identities`; null: the name, of a device that a process of the version before made. */
    uid: string | null
  }
  /** Every uid that was ever issued: rows are never deleted, so that none is issued twice. */
  device_identities: {
    tenant: string
    uid: string
    /** The last one that its device had. */
    name: string
    created_ms: number
    removed_ms: number | null
  }
  /** Names of devices that are stored under something else: those they have, and former ones that nobody has now. */
  device_names: { tenant: string; name: string; uid: string; is_former: number }
  applications: {
    application: string
    created_ms: number
    /** 1: makes the devices that it publishes for. */
    creates_devices: number
    /** Of the hour that began then: how many it made. */
    made_since_ms: number
    made: number
  }
  /** The hashes of a credential: of its secret, of its token, or of both. */
  credentials: {
    hash: string
    kind: 'secret' | 'token'
    /** `{tenant}/{device}`, or the name of an application, which has no slash. */
    principal: string
    key_id: string
    created_ms: number
    /** In `credential_pairs`. */
    credential: string
  }
  /** What a login has been given; it may have several, so that one is replaced while the other is still in use. */
  credential_pairs: {
    credential: string
    principal: string
    username: string
    created_ms: number
    expires_ms: number | null
    first_used_ms: number | null
    last_used_ms: number | null
    /** 1: made by a rotation; its first use ends the others. */
    replaces: number
    /** The provisioning key that made it. */
    claim_key: string | null
  }
  /** Password hashes of another broker; see `ImportedPassword`. Binary values are base64. */
  imported_passwords: {
    username: string
    principal: string
    kind: string
    salt: string
    hash: string
    iterations: number
    created_ms: number
    expires_ms: number | null
  }
  /** Logins that were disabled or revoked at least once. */
  login_states: { name: string; disabled: number; ended_ms: number }
  claim_keys: {
    id: string
    hash: string
    key_id: string
    tenant: string
    /** JSON object of strings. */
    tags: string
    max_uses: number
    uses: number
    created_ms: number
    expires_ms: number | null
  }
  acl_rules: { application: string; position: number; effect: RuleEffect; action: RuleAction; topic: string }
  device_state: {
    tenant: string
    device: string
    stream: string
    /** See `state-fields.ts`. */
    fields: string
    last_seen_ms: number
    /** Empty for rows from before it was kept. */
    log_id: string
    log_partition: number
    log_offset: number
    /** See `StreamState.kept`. */
    kept: string | null
    /** See `StreamState.clock`. */
    clock: string | null
    /** See `StreamState.firstJson`. */
    first_json: string | null
  }
  /** Sessions of devices: those that are connected, and of each device the last that was. */
  device_presence: {
    tenant: string
    device: string
    client_id: string
    epoch: number
    connected: number
    node: string
    since_ms: number
    address: string
    reason: string | null
  }
  device_limits: {
    tenant: string
    device: string
    code: string
    limit_value: number
    since_ms: number
    last_ms: number
    hits: number
  }
  /** One row for each slot, see `StampSlot`; times are those of the database's clock. */
  stamp_slots: {
    slot: number
    holder: string
    lease: string
    claim: string
    claimed_ms: number
    state: string
    renewed_ms: number
    given_back: number
  }
  /** See `StreamFields`; `marks` one after the other. */
  device_fields: { tenant: string; device: string; stream: string; marks: string; fields: number }
  /** Rows are never changed or deleted; the highest revision of a scope is in force. */
  policies: {
    /** A tenant; empty for everybody's default. */
    scope: string
    revision: number
    /** See `idOf` of shared/policies. */
    id: string
    /** JSON of a `PolicyDocument`. */
    document: string
    /** JSON of `PolicySources`; null in rows of before migration 0016. */
    sources: string | null
    at_ms: number
    who: string
  }
  /** Rows are never changed or deleted; the highest revision of a name is in force. */
  decoders: {
    /** A tenant; empty for everybody's. */
    scope: string
    name: string
    revision: number
    /** See `idOfDefinition`; empty: it was removed. */
    id: string
    kind: DecoderKind
    content: string
    /** Characters of the content. */
    bytes: number
    sha256: string
    /** JSON. */
    options: string
    at_ms: number
    who: string
  }
  /** All that was ever declared of a field; see `DeclaredTypes`. */
  declared_types: {
    tenant: string
    stream: string
    field: string
    since_ms: number
    type: NumberType
    who: string
    at_ms: number
    /** JSON, as `sources`; null in rows of before it could be declared: the type alone is known. */
    meaning: string | null
    sources: string | null
  }
  field_types: { tenant: string; stream: string; field: string; type: FieldType }
  /** See `Job`. */
  jobs: {
    id: Generated<number>
    kind: string
    /** JSON, as `position` and `counts`. */
    spec: string
    position: string | null
    state: JobState
    counts: string
    progress: string
    who: string
    created_ms: number
    ended_ms: number | null
    owner: string
    /** Until when it is its owner's, by the clock of the database. */
    lease_ms: number
    cancel_asked: number
  }
  /** See `LetterNote`. */
  letter_notes: { id: string; state: LetterState; tries: number; job: number; at_ms: number; who: string }
  /** What was deleted, see `Tombstone`. */
  tombstones: {
    id: string
    tenant: string
    uid: string
    stream: string | null
    from_ms: number
    from_ns: number
    to_ms: number
    to_ns: number
    received_ms: number | null
  }
  /** One row: the number of the last change below. */
  registry_revision: { id: number; revision: number }
  /** Each login with the last change of it, and which process made that. */
  registry_changes: { name: string; origin: string; revision: number }
  /** Each login that was removed, revoked or disabled, with the last time, numbered like the changes. */
  registry_endings: { name: string; origin: string; revision: number }
  api_keys: { name: string; hash: string; key_id: string; created_ms: number }
  audit_log: {
    id: Generated<number>
    at_ms: number
    who: string
    action: string
    subject: string
    detail: string | null
  }
}
