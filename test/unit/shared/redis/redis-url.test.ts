import { expect, it } from 'vitest'
import { checkRedisUrl } from '../../../../shared/redis/policy.ts'

it.each([
  'redis://a:6379,b:6379',
  'redis://a,b:6379',
  'redis://u:geheim@a:6379,redis://u:geheim@b:6379',
  'redis+sentinel://a:26379/mymaster',
  'redis-sentinel://u:geheim@a:26379',
])('%s is refused as several addresses, without showing it', (url) => {
  const refused = () => checkRedisUrl(url, 'sessions')
  expect(refused).toThrow('names several addresses or a Sentinel')
  expect(refused).not.toThrow('geheim')
})

it.each(['redis://a:6379', 'rediss://u:p,w@a:6379/1', 'redis://[::1]:6379'])('%s is one address', (url) => {
  expect(() => checkRedisUrl(url, 'cache')).not.toThrow()
})

it.each(['a:6379,b:6379', 'http://a:6379', 'redis://'])('%s is none', (url) => {
  expect(() => checkRedisUrl(url, 'cache')).toThrow('is not redis://host:port')
})
