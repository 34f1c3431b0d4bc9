-- Executes every command with which the other scripts write, on a key that exists only
-- for this and is removed afterwards.
--
-- KEYS: the key. ARGV: the channel.
-- Returns 'done', or fails with what Redis refuses.

local key, channel = KEYS[1], ARGV[1]

redis.call('UNLINK', key)
redis.call('HSET', key, 'a', '1')
redis.call('HDEL', key, 'b')
redis.call('RENAME', key, key)
redis.call('PERSIST', key)
redis.call('UNLINK', key)
redis.call('ZADD', key, 1, 'a')
redis.call('ZREM', key, 'b')
redis.call('ZPOPMIN', key)
redis.call('XADD', key, '1', 'a', '1')
redis.call('UNLINK', key)
-- Everybody has seen this revision, so it wakes nobody.
redis.call('PUBLISH', channel, '0 ')
return 'done'
