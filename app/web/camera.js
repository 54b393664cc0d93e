// A few seconds from the camera, as a file.

const LONGEST = 10; // seconds

/** Elements: record, panel, viewfinder, stop, cancel, clock. done(file), fail(sentence). */
export function setUpCamera(elements, done, fail) {
  const { record, panel, viewfinder, stop, cancel, clock } = elements;
  if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) {
    record.hidden = true; // no camera, or a page that came neither by TLS nor from this machine
    return;
  }
  let recorder = null;
  let timer = 0;
  let wanted = false;

  function close() {
    clearInterval(timer);
    viewfinder.srcObject?.getTracks().forEach((track) => track.stop());
    viewfinder.srcObject = null;
    panel.hidden = true;
    record.disabled = false;
    record.focus();
  }

  function run(stream) {
    const pieces = [];
    let left = LONGEST;
    recorder = new MediaRecorder(stream);
    recorder.addEventListener("dataavailable", (e) => pieces.push(e.data));
    recorder.addEventListener("stop", () => {
      const type = recorder.mimeType.split(";")[0];
      close();
      if (wanted) done(new File(pieces, type === "video/mp4" ? "camera.mp4" : "camera.webm", { type }));
    });
    recorder.start();
    timer = setInterval(() => {
      left--;
      clock.textContent = `${left} s left`;
      if (left === 0) stop.click();
    }, 1000);
    clock.textContent = `${left} s left`;
  }

  function end(keep) {
    wanted = keep;
    if (recorder?.state === "recording") recorder.stop();
  }

  record.addEventListener("click", async () => {
    record.disabled = true;
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
      viewfinder.srcObject = stream;
      panel.hidden = false;
      await viewfinder.play();
      run(stream);
      stop.focus();
    } catch (error) {
      close();
      fail(error.name === "NotAllowedError" ? "The browser does not allow this page to use the camera."
        : "There is no camera that this page can use.");
    }
  });
  stop.addEventListener("click", () => end(true));
  cancel.addEventListener("click", () => end(false));
}
