import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ERRORS } from '../../shared/errors.ts'

/** Writes docs/errors.md from the error table: `npm run docs:errors`. */
const rows = Object.entries(ERRORS).map(
  ([code, kind]) => `| \`${code}\` | ${kind.class} | ${kind.canRetry ? 'yes' : 'no'} | ${kind.fix} |`,
)
const page = `# Errors

Every error has a code. It is the \`code\` of a problem+json answer, of a dead letter, of a refusal on the page and in
\`./sluice tail\`, and of a log line. This page is written from [shared/errors.ts](../shared/errors.ts) by
\`npm run docs:errors\`.

| class | who acts | what happens |
| --- | --- | --- |
| transient | no one | retried with backoff until it works; the log keeps the data |
| configuration | the operator | the part stops, \`/readyz\` names it, nothing is dead-lettered |
| data | the author of the device's payload | the field (or reading, or payload) becomes a fault of a dead letter, its neighbours are stored |
| size | the author of the device's payload | the message is acknowledged and counted; its beginning is kept as a dead letter |
| overload | the operator, if it lasts | reading from sockets slows, QoS 0 is shed first |
| refused | the owner of the client | acknowledged or answered as the MQTT specification demands, counted, kept as a dead letter |
| usage | the sender of the request | the request fails with this answer |

| code | class | retry | what to do |
| --- | --- | --- | --- |
${rows.join('\n')}
`
writeFileSync(join(import.meta.dirname, '../errors.md'), page)
