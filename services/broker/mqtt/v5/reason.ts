import type { ErrorCode } from '../../../../shared/errors.ts'

/** Reason codes of MQTT 5 that this broker sends or looks at [MQTT 5.0, 2.4]. */
export const Reason = {
  success: 0x00,
  disconnectWithWill: 0x04,
  noSubscriptionExisted: 0x11,
  unspecified: 0x80,
  malformed: 0x81,
  protocolError: 0x82,
  unsupportedVersion: 0x84,
  clientIdInvalid: 0x85,
  badCredentials: 0x86,
  notAuthorised: 0x87,
  unavailable: 0x88,
  busy: 0x89,
  shuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  takenOver: 0x8e,
  filterInvalid: 0x8f,
  topicInvalid: 0x90,
  idNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  aliasInvalid: 0x94,
  tooLarge: 0x95,
  quotaExceeded: 0x97,
  payloadFormatInvalid: 0x99,
  sharedNotSupported: 0x9e,
  connectionRateExceeded: 0x9f,
  identifiersNotSupported: 0xa1,
} as const

/** Our error codes in the words of MQTT 5; what is missing here is an unspecified error. */
const REASONS: Partial<Record<ErrorCode, number>> = {
  not_authorised: Reason.notAuthorised,
  topic_invalid: Reason.topicInvalid,
  topic_unknown: Reason.topicInvalid,
  topic_reserved: Reason.topicInvalid,
  filter_invalid: Reason.filterInvalid,
  payload_too_large: Reason.tooLarge,
  payload_not_utf8: Reason.payloadFormatInvalid,
  login_failed: Reason.badCredentials,
  login_required: Reason.notAuthorised,
  login_rate_limited: Reason.connectionRateExceeded,
  rate_limited: Reason.quotaExceeded,
  session_limit: Reason.quotaExceeded,
  registry_unavailable: Reason.unavailable,
  redis_unavailable: Reason.unavailable,
  broker_overloaded: Reason.busy,
  client_id_invalid: Reason.clientIdInvalid,
  protocol_version: Reason.unsupportedVersion,
  protocol_violation: Reason.protocolError,
}

/** The reason code of an error in CONNACK and DISCONNECT. */
export function reasonOf(code: ErrorCode): number {
  return REASONS[code] ?? Reason.unspecified
}

/**
 * The same in PUBACK and PUBREC, which know no 0x95 [MQTT-3.4.2-1]: a packet that is too large exceeds a quota there.
 */
export function publishReasonOf(code: ErrorCode): number {
  const reason = reasonOf(code)
  return reason === Reason.tooLarge ? Reason.quotaExceeded : reason
}

/** Allowed in PUBACK and PUBREC, and in PUBREL and PUBCOMP [MQTT 5.0, tables 3-4 to 3-7]. */
export const PUBLISH_REASONS: ReadonlySet<number> = new Set([0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99])
export const RELEASE_REASONS: ReadonlySet<number> = new Set([Reason.success, Reason.idNotFound])
