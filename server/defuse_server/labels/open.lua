-- Makes the tasks that are not there yet.
--
-- ARGV  1 how many answers are wanted   2... region numbers

for i = 2, #ARGV do
  if redis.call('HEXISTS', TASKS, ARGV[i]) == 0 then
    write_task(ARGV[i], {wanted = tonumber(ARGV[1]), leases = {}, answers = {}})
  end
end
