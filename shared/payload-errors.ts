import { data, type ErrorKind } from './error-kinds.ts'

/** Errors of the table in errors.ts: a payload, a reading or a field that cannot be stored as it is. */
export const PAYLOAD_ERRORS = {
  payload_empty: data('Send a JSON object or array; an empty payload holds no reading.'),
  payload_not_utf8: data('Encode the payload as UTF-8.'),
  payload_not_json: data('Send valid JSON, without comments and trailing commas, or one line of text.'),
  payload_not_by_device: data('To t/{tenant}/telemetry send an object of devices: {"pump-1":{"temperature":21.5}}.'),
  payload_not_as_declared: data(
    'Send what the policy `decoder` of the stream names, or set it to what the device sends (docs/decoders.md).',
  ),
  decoder_unknown: data('Upload the decoder that the policy of the stream names, or set the policy to another one.'),
  codec_failed: data('The codec threw, or named errors: upload one that reads this message, then replay the letter.'),
  codec_limit: data('The codec needs more time, memory, depth or output than one message may: upload a simpler one.'),
  codec_paused: data(
    'The codec failed 100 times in a row and is not run any more: upload one that works, or resume it, then replay.',
  ),
  payload_unpacked_too_large: data('A compressed payload may hold 4 MiB: send it in several messages.'),
  payload_compression_damaged: data(
    'Send whole frames of gzip, zstd or zlib; where payloads only look like them set the policy compression=none.',
  ),
  form_unknown: data('A worker of a newer version handed this on: upgrade all workers before anything else.'),
  decoder_failed: data('This is a bug: please report it with the dead letter, which holds the payload and the stack.'),
  batch_unreadable: data('The letter is a whole batch of another producer: the detail says why it cannot be read.'),
  line_invalid: data('Send line protocol: measurement,tag=value field=21.5,other=3i,text="on" and the time.'),
  device_tag_missing: data(
    'Send one of the tags device, host, entity_id, topic, name with each line, or set the policy device_tags; or post with the token of a device.',
  ),
  payload_too_deep: data('Nest objects at most 32 deep.'),
  payload_too_many_readings: data('Send at most 10,000 readings in one message.'),
  reading_not_object: data('Each reading must be a JSON object of field names and values.'),
  reading_empty: data('A reading needs at least one value that is not null.'),
  reading_too_wide: data('Send at most 1,000 fields in one reading.'),
  field_name_invalid: data('A field name is text of up to 1,024 bytes: half a surrogate pair is none.'),
  field_name_reserved: data('Only in letters of before 0.3: every name can be stored.'),
  field_duplicate: data('Two values have the same field name after nested objects were flattened; rename one.'),
  value_unsupported: data('Send text as text: half a surrogate pair, which JSON can escape, is none.'),
  value_not_exact: data('Only in letters of before 0.3: integers of any size are stored.'),
  list_left_out: data(
    'The other fields are stored. Send one field per element, a time or a name with each, or at most 16 values. Told once per device, stream, field and day.',
  ),
  value_out_of_range: data('The number is beyond the range of a 64-bit float; send it as a string.'),
  value_outside_range: data(
    'Not stored: the number is outside of what was declared of the field. Mend the device, or the declaration, then replay the letter.',
  ),
  value_marked: data(
    'Stored, but the number is outside of what was declared of the field. Told once per device, stream, field and day.',
  ),
  field_missing: data(
    'The rest is stored. Send the field with every reading, or declare it not required. Told once per device, stream, field and day.',
  ),
  value_too_long: data('Send strings of at most 16 KiB.'),
  time_invalid: data('Send the time as ISO 8601 with a zone, or as a number of s, ms, us or ns since 1970.'),
  time_without_zone: data(
    'Stored at the receive time, with the local time as a text. Add the zone: "2026-01-31T12:00:00Z" or "...+01:00".',
  ),
  time_out_of_range: data('Only times from 1970 up to 2262 can be stored; check the clock of the device.'),
  time_not_reserved: data(
    'Send the time of each reading: an array of so few bytes has no room for so many readings without one.',
  ),
  time_ahead: data(
    'The time is more than a day after the receive time: set the clock of the device. Nothing is stored; the letter has it.',
  ),
  time_ancient: data(
    'The time is before 2000, which the policy does not take: set the clock. The letter has the reading.',
  ),
  time_absent: data('The reading says no time, which the policy does not take: send one. The letter has the reading.'),
  time_restamped: data(
    'Stored at the receive time, as the policy says, because its own was before 2000, a day ahead, or not there: set the clock.',
  ),
  time_clamped: data(
    'Stored at the nearest time that the policy takes, because its own was before 2000 or a day ahead: set the clock.',
  ),
  clock_not_set: data(
    'Stored at the receive time, because the time is empty, zero or in 1970: set the clock of the device.',
  ),
  clock_suspect: data('The reading was stored, but its time is before 2000: set the clock of the device.'),
  device_clock_stepped: data(
    'Everything is stored. The clock of the device was set, or what it sends waits somewhere: look whether the new time is right.',
  ),
  overwritten: data(
    'Stored, but another message had a value for the same time, which is gone. Send times that tell readings apart (with milliseconds, or one device for each source), or set the policy same_time=keep. Told once per device and hour.',
  ),
  type_conflict: data(
    'InfluxDB has values of another type under the name of the field, which somebody else wrote; use another field name.',
  ),
  times_spread: data(
    'Send the times at which values were read. To bring a long backlog, send it over some hours, or raise INGEST_DEVICE_WEEKS.',
  ),
  series_limit: data('Known fields are stored. Send fixed names, or raise the setting that the detail names.'),
  store_rejected: data('The store rejected this point; the detail says why.'),
} as const satisfies Record<string, ErrorKind>
