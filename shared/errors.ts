import { configuration, overload, refused, transient, usage, type ErrorKind } from './error-kinds.ts'
import { PAYLOAD_ERRORS } from './payload-errors.ts'

export type { ErrorClass, ErrorKind } from './error-kinds.ts'

/**
 * Every error Sluice reports, in one table: who must act, whether the same attempt can succeed later,
 * the HTTP status it maps to, and what to do about it. docs/errors.md is checked against this file.
 */
export const ERRORS = {
  ...PAYLOAD_ERRORS,

  // A client or a message that is turned away.
  not_authorised: refused(403, 'Publish below the t/{tenant}/{device}/ of the login, or add an allow rule.'),
  login_failed: refused(401, 'Check username and secret; `sluice devices add` creates a login.'),
  login_required: refused(401, 'Log in: anonymous clients are not accepted.'),
  login_rate_limited: { class: 'refused', canRetry: true, status: 429, fix: 'Too many failed logins; wait a minute.' },
  claim_refused: refused(401, 'Check the provisioning key; `sluice claim-keys list` shows the valid ones.'),
  certificate_refused: refused(401, 'Use a client certificate that is valid, not revoked, and of MQTT_TLS_CA_FILE.'),
  token_missing: refused(401, 'Send "Authorization: Bearer <token>"; the admin token is in DATA_DIR/admin-token.'),
  token_invalid: refused(401, 'Unknown token; the admin token is in DATA_DIR/admin-token.'),
  metrics_refused: refused(401, 'Send METRICS_TOKEN as a bearer token, or name the scraper in METRICS_FROM.'),
  session_ended: refused(401, 'Open another one with the token; the admin token is in DATA_DIR/admin-token.'),
  protocol_version: refused(400, 'Configure the client for MQTT 5 or 3.1.1, without an Authentication Method.'),
  protocol_violation: refused(400, 'The client violated the MQTT specification; the detail names the clause.'),
  client_id_invalid: refused(400, 'Use a client id of 1 to 256 bytes, or an empty one with clean session.'),
  payload_too_large: {
    class: 'size',
    canRetry: false,
    status: 413,
    fix: 'Send smaller messages; see MAX_PACKET_BYTES.',
  },
  topic_invalid: refused(
    400,
    'Topics need 1 to 1,024 bytes, at most 16 levels, without wildcards or control characters.',
  ),
  device_unknown: refused(404, 'Make the device (`sluice devices pending`, `accept`), or let its login make devices.'),
  topic_encoding_invalid: refused(
    400,
    'In topics write / + # % and control characters of a name as % and two digits of 0-9A-F, and nothing else so.',
  ),
  topic_unknown: refused(400, 'Send telemetry to t/{tenant}/{device}/telemetry or .../telemetry/{stream}.'),
  topic_reserved: refused(403, 'Topics that begin with $ belong to the broker; use another topic.'),
  filter_invalid: refused(400, 'Use a valid topic filter: + and # alone in their level, # in the last one.'),

  // Limits in action.
  broker_overloaded: overload('The log cannot keep up or is down; the client should retry with backoff.'),
  qos0_shed: overload('QoS 0 messages are dropped first under load; publish what must not be lost with QoS 1.'),
  log_full: overload('The log reached its limit before it was read: free disk space, or start the worker.'),
  disk_full: overload('The disk is full: free space in the data folder; acknowledgements resume by themselves.'),
  rate_limited: { class: 'overload', canRetry: true, status: 429, fix: 'Slow down; see the Retry-After header.' },
  streams_exhausted: overload('Close unused live views, or raise HTTP_STREAMS_MAX.'),

  // Dependencies and the local system.
  log_unavailable: transient('The log does not answer; clients keep their messages until it does.'),
  log_refused: configuration('Kafka rejects the login or a right is missing: see KAFKA_ settings and docs/deploy.md.'),
  log_topic_missing: configuration('Make the topic as docs/deploy.md says, or set KAFKA_MANAGE_TOPICS=on.'),
  log_topic_refused: configuration('Kafka refuses the topic as Sluice makes it: docs/deploy.md says how to make it.'),
  log_not_durable: configuration('Mend in Kafka what the detail names; `./sluice log apply` does it for settings.'),
  store_unavailable: transient('The point store does not answer; the log keeps everything until it does.'),
  store_rewound: transient('A disk sync failed; what was stored since the last good one is read from the log again.'),
  registry_unavailable: transient('The registry does not answer; see /readyz.'),
  registry_refused: configuration(
    'MariaDB rejects the login, or a database, table or privilege is missing: correct MARIADB_URL, or add what is missing.',
  ),
  store_unauthorised: configuration(
    'The point store rejects the token: correct INFLUX_TOKEN or its file, which is re-read; work resumes by itself.',
  ),
  store_misconfigured: configuration(
    'The bucket or the organisation does not exist in the point store: create it, or correct INFLUX_BUCKET or INFLUX_ORG.',
  ),
  policy_unknown: transient(
    'The registry has no such policy, having been set back perhaps: set the tenant, and the default, once to what they said (docs/policies.md).',
  ),
  redis_unavailable: transient('Redis does not answer; see /readyz.'),
  node_unreachable: transient('The broker node does not answer; `sluice status` lists the live nodes.'),
  session_taken_over: refused(
    409,
    'The client connected elsewhere, or its node was declared dead; the client reconnects.',
  ),
  session_limit: refused(
    429,
    'Reuse client ids, or connect with a clean session; the limit is MAX_SESSIONS_PER_LOGIN.',
  ),
  redis_misconfigured: configuration(
    'Change the Redis setting that the message names; the cache and the sessions need different ones.',
  ),
  offset_reset: configuration(
    'Records were deleted before they were read; the gap is counted. Raise the log retention.',
  ),
  log_replaced: configuration(
    'The log was deleted, cut or restored from a copy: positions begin anew. Records of the old one that were not stored are gone.',
  ),
  log_partitions_changed: configuration('The log keeps its number of partitions: restore the setting, or the topic.'),
  log_repartition_refused: usage(409, 'Nothing was changed: docs/deploy.md says which numbers a log may get.'),
  log_repartition_given_up: transient('Nothing was changed: mend the process named, or leave it out by --without.'),
  log_corrupt: configuration(
    'A part of the log is damaged: it is kept as .damaged and skipped; what is lost of it is counted as a gap.',
  ),
  store_corrupt: configuration(
    'A file of the point store is damaged or missing: what is named is lost until its span is deleted, or a backup is restored (`./sluice restore`).',
  ),
  credential_key_mismatch: configuration(
    'Start with the CREDENTIAL_KEY (or the file credential-key) that this registry was created with.',
  ),
  data_newer: configuration('A newer Sluice wrote it: upgrade, or go back to a copy (docs/upgrade.md).'),
  data_corrupt: configuration(
    'A database in the data folder is damaged; `./sluice restore` puts a backup in its place.',
  ),
  storage_failed: configuration(
    'The disk failed while a change was being stored: check the disk and the system log, then start again.',
  ),
  data_locked: configuration('Another process uses this data folder; stop it, or use another DATA_DIR.'),
  data_unwritable: configuration('Make the data folder writable for this user, or set DATA_DIR.'),
  port_in_use: configuration('Stop the process that listens on it, or choose another port.'),
  setting_invalid: configuration('Correct the environment variable named in the message.'),
  clock_stepped: configuration(
    'The system clock was set back: readings without a time in the span named may be out of order; check its time server.',
  ),
  node_name_taken: configuration(
    'Another process runs under this name, or ended seconds ago: give each process a NODE_ID of its own.',
  ),
  stamp_slot_missing: transient(
    'Nothing is acknowledged without a stamp slot: run at most 64 brokers and APIs; the registry must answer within 12 h.',
  ),
  stamp_slot_lost: configuration(
    'The process takes another slot by itself; if this repeats, see that each process has a NODE_ID of its own.',
  ),
  clock_unusable: configuration(
    'The system clock was set back too often: correct it; nothing is acknowledged until it has passed the stamps made.',
  ),
  clock_unsynchronised: transient(
    'Nothing is acknowledged before the system clock is synchronised: see to its time server, or lower WAIT_FOR_CLOCK.',
  ),
  node_too_old: configuration('Run npm ci again, or install Node 24 or newer.'),
  closed: transient('The component is shutting down.'),
  api_unreachable: transient('Start Sluice with `./sluice up`, or set its address with --url or SLUICE_URL.'),
  internal: { class: 'configuration', canRetry: false, status: 500, fix: 'This is a bug: please report it.' },

  // Requests and commands.
  bad_request: usage(400, 'Correct the field named in the detail.'),
  not_found: usage(404, 'Check the name; names are case-sensitive.'),
  already_exists: usage(409, 'Choose another name, or remove the existing one first.'),
  host_refused: usage(421, 'Open it as localhost or 127.0.0.1, or add the name to HTTP_HOSTS.'),
  request_too_slow: usage(408, 'Send the header within 10 s and the whole request within HTTP_REQUEST_SECONDS.'),
  media_type_unsupported: usage(415, 'Send JSON as application/json, without a content encoding.'),
  unsupported: usage(501, 'Use the alternative that the message names.'),
  name_invalid: usage(
    400,
    'Tenants and applications: 1 to 64 of A-Z a-z 0-9 _ . -; devices, streams: 1 to 128 bytes of UTF-8; not "." or "..".',
  ),
  name_character_invalid: usage(400, 'Leave out the character that the message names: nobody would see it.'),
  policy_invalid: usage(400, 'Correct the place that the message names; docs/policies.md says what may be set.'),
  decoder_invalid: usage(400, 'Correct the line that the message names and upload it again; the one before goes on.'),
  decoder_in_use: usage(409, 'Set the policies that name it to another decoder first.'),
  feature_missing: usage(409, 'Upgrade them first: workers, then the API, then brokers (docs/upgrade.md).'),
  policy_in_file: usage(409, 'Change it in the file that the message names; the API reads it again within seconds.'),
  contract_invalid: usage(
    400,
    'Correct the file at the line that the message names; docs/types.md says what it may say.',
  ),
  contract_in_force: usage(409, 'Change it in the file that the message names; the API reads it again within seconds.'),
  values_not_numbers: usage(
    409,
    'See what the message names: texts that are no numbers, or letters of what is not stored.',
  ),
  policy_changed: usage(409, 'Somebody else changed it meanwhile: read it again, and change that.'),
  cursor_invalid: usage(400, 'Pass the cursor exactly as the previous answer gave it.'),
  backup_unreadable: usage(400, 'Use a whole file of `./sluice backup`, and the private key of one of its recipients.'),
  command_failed: usage(500, 'See the message.'),
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof ERRORS

/** True for a code of the table; codes of a newer version, read from the log or over HTTP, are none. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code)
}

/** The one error type of Sluice: a code from {@link ERRORS}, what happened to what, and the cause if there is one. */
export class SluiceError extends Error {
  readonly code: ErrorCode
  /** Not before so many milliseconds, says who answered; undefined when nothing was said. */
  readonly retryAfterMs: number | undefined

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown; retryAfterMs?: number | undefined }) {
    super(message, options)
    this.name = 'SluiceError'
    this.code = code
    this.retryAfterMs = options?.retryAfterMs
  }

  get kind(): ErrorKind {
    return ERRORS[this.code]
  }

  get canRetry(): boolean {
    return this.kind.canRetry
  }
}

/** Anything thrown, as a SluiceError: one passes through unchanged, the rest becomes `fallback` with its cause. */
export function toSluiceError(error: unknown, fallback: ErrorCode = 'internal'): SluiceError {
  if (error instanceof SluiceError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new SluiceError(fallback, message, { cause: error })
}
