-- What wrk sends: one text to label.
wrk.method = "POST"
wrk.path = "/api/classify"
wrk.headers["content-type"] = "application/json"
wrk.body = '{"text": "终于把bug修完了，感觉整个人都轻松了！"}'
